/**
 * With which characters a rule or a sequence may begin. Computed when asked for and kept; the rules must not be
 * left-recursive. Rules may be added to the list later, but never changed.
 */
import { type CharacterSet, union } from './character-set.ts';
import type { Alternative, FlatRule } from './flat-grammar.ts';

/** Rules that end with rules that end with rules: so many times over. */
const ROUNDS = 8;

const NOTHING: CharacterSet = [];

export class FirstSets {
  readonly #rules: readonly FlatRule[];
  readonly #empty: Set<number>;
  readonly #known = new Map<number, CharacterSet>();
  readonly #byContent = new Map<string, CharacterSet>([['', NOTHING]]);
  #goingOn: Map<number, CharacterSet> | undefined;

  /** `empty`: the rules that match the empty text. */
  constructor(rules: readonly FlatRule[], empty: ReadonlySet<number>) {
    this.#rules = rules;
    this.#empty = new Set(empty);
  }

  /** A rule was added: whether it matches the empty text follows from those before it. */
  added(rule: number): void {
    const alternatives = this.#rules[rule]?.alternatives ?? [];
    if (alternatives.some((symbols) => this.mayBeEmpty(symbols))) this.#empty.add(rule);
    if (this.#goingOn === undefined) return;
    const sets = new Set<CharacterSet>();
    for (const symbols of alternatives) this.#collectGoingOn(symbols, this.#goingOn, sets);
    this.#goingOn.set(rule, this.#joined(sets));
  }

  mayBeEmpty(symbols: Alternative): boolean {
    return symbols.every((symbol) => symbol.kind === 'rule' && this.#empty.has(symbol.index));
  }

  /** All characters that the sequence may begin with. */
  of(symbols: Alternative): CharacterSet {
    const sets = new Set<CharacterSet>();
    for (const symbol of symbols) {
      sets.add(symbol.kind === 'characters' ? symbol.set : this.#ofRule(symbol.index));
      if (symbol.kind === 'characters' || !this.#empty.has(symbol.index)) break;
    }
    return this.#joined(sets);
  }

  /**
   * Characters that a rule may go on with where it could as well have ended. May miss some where rules end with one
   * another in long circles.
   */
  goingOn(rule: number): CharacterSet {
    this.#goingOn ??= this.#allGoingOn();
    const own = this.#goingOn.get(rule) ?? NOTHING;
    return this.#empty.has(rule) ? this.#joined([own, this.#ofRule(rule)]) : own;
  }

  #allGoingOn(): Map<number, CharacterSet> {
    const found = new Map<number, CharacterSet>();
    for (let round = 0, changed = true; changed && round < ROUNDS; round++) {
      changed = false;
      for (const [index, { alternatives }] of this.#rules.entries()) {
        const before = found.get(index) ?? NOTHING;
        const sets = new Set([before]);
        for (const symbols of alternatives) this.#collectGoingOn(symbols, found, sets);
        const after = this.#joined(sets);
        if (after === before) continue;
        found.set(index, after);
        changed = true;
      }
    }
    return found;
  }

  /** From the last symbol backwards, as long as what follows may be empty. */
  #collectGoingOn(
    symbols: Alternative,
    found: ReadonlyMap<number, CharacterSet>,
    sets: Set<CharacterSet>,
  ): void {
    for (let index = symbols.length - 1; index >= 0; index--) {
      const symbol = symbols[index];
      if (symbol?.kind !== 'rule') return;
      const inside = found.get(symbol.index);
      if (inside !== undefined) sets.add(inside);
      if (!this.#empty.has(symbol.index)) return;
      sets.add(this.#ofRule(symbol.index));
    }
  }

  /** Without recursion of its own: rules may begin with one another thousands deep. */
  #ofRule(rule: number): CharacterSet {
    const known = this.#known.get(rule);
    if (known !== undefined) return known;
    const todo = [rule];
    for (let next = todo.at(-1); next !== undefined; next = todo.at(-1)) {
      const heads = (this.#rules[next]?.alternatives ?? []).flatMap((symbols) => this.#leading(symbols));
      const unknown = heads.flatMap((symbol) =>
        symbol.kind === 'rule' && !this.#known.has(symbol.index) ? [symbol.index] : [],
      );
      if (unknown.length > 0) todo.push(...unknown);
      else {
        const sets = heads.map((symbol) =>
          symbol.kind === 'characters' ? symbol.set : (this.#known.get(symbol.index) ?? NOTHING),
        );
        this.#known.set(next, this.#joined(sets));
        todo.pop();
      }
    }
    return this.#known.get(rule) ?? NOTHING;
  }

  /** The first symbol, and those behind what may be empty. */
  #leading(symbols: Alternative): Alternative {
    const end = symbols.findIndex((symbol) => symbol.kind === 'characters' || !this.#empty.has(symbol.index));
    return end === -1 ? symbols : symbols.slice(0, end + 1);
  }

  /** Equal unions are one object, so that what is equal is soon seen to be. */
  #joined(sets: Iterable<CharacterSet>): CharacterSet {
    const different = new Set(sets);
    different.delete(NOTHING);
    const [only = NOTHING] = different;
    const set = different.size <= 1 ? only : union(...different);
    const content = set.map(({ from, to }) => `${from}-${to}`).join();
    const known = this.#byContent.get(content);
    if (known === undefined) this.#byContent.set(content, set);
    return known ?? set;
  }
}
