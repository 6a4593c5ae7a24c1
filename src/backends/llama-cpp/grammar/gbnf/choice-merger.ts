/**
 * Rewrites choices in which several alternatives may begin with the same character, so that the engine has one path until
 * the texts differ: equal alternatives are merged, common beginnings are factored out, and a character that several
 * alternatives share leads to one rule for all that may follow it. The grammar allows the same texts. What would take too
 * many rules stays as it was. Owns the rules that it has added.
 */
import { type CharacterSet, overlap, overlapping, partition, union } from './character-set.ts';
import type { Alternative, FlatRule, FlatSymbol, SymbolKeys } from './flat-grammar.ts';

export interface MergeLimits {
  /** Rules added for one choice. */
  readonly rulesOfChoice: number;
  /** Alternatives of one choice while it is being rewritten. */
  readonly ways: number;
  /** Rules added for all choices together. */
  readonly rules: number;
  /** Symbols written for all choices together. */
  readonly symbols: number;
}

/** Too large to be rewritten. */
class TooLarge extends Error {}

type Head = Alternative[number];

export class ChoiceMerger {
  readonly #rules: FlatRule[];
  readonly #first: FirstSets;
  readonly #keys: SymbolKeys;
  readonly #limits: MergeLimits;
  /** Added rules, by their alternatives. */
  readonly #byWays = new Map<string, number>();
  #symbolsLeft: number;
  #rulesLeft: number;
  /** Of the rule being rewritten, for the rules that it adds. */
  #origin: Pick<FlatRule, 'name' | 'line'> = { name: 'root', line: 1 };
  #firstAdded = 0;

  /** `rules`: new rules are appended, and the others stay as they are, so that equal alternatives are recognised. */
  constructor(rules: FlatRule[], helpers: { first: FirstSets; keys: SymbolKeys; limits: MergeLimits }) {
    this.#rules = rules;
    this.#first = helpers.first;
    this.#keys = helpers.keys;
    this.#limits = helpers.limits;
    this.#symbolsLeft = helpers.limits.symbols;
    this.#rulesLeft = helpers.limits.rules;
  }

  /** There is too much to rewrite. */
  get exhausted(): boolean {
    return this.#symbolsLeft < 0 || this.#rulesLeft < 0;
  }

  /** The rule's alternatives, rewritten where they have to be; undefined where they stay as they are. */
  merged(rule: number): readonly Alternative[] | undefined {
    const { name, line, alternatives } = this.#rules[rule] as FlatRule;
    if (!this.isAmbiguous(rule)) return undefined;
    this.#origin = { name, line };
    this.#firstAdded = this.#rules.length;
    this.#byWays.set(this.#keyOf(alternatives), rule);
    try {
      return this.#rewrite(alternatives);
    } catch (thrown) {
      if (thrown instanceof TooLarge) return undefined;
      throw thrown;
    }
  }

  /** There may be more than one path through the beginning of a text, or from some point of it on. */
  isAmbiguous(rule: number): boolean {
    const { alternatives } = this.#rules[rule] as FlatRule;
    if (alternatives.some((symbols) => this.#forkIn(symbols) !== -1)) return true;
    return (
      alternatives.length > 1 && overlapping(alternatives.map((symbols) => this.#first.of(symbols))).size > 0
    );
  }

  /** The first symbol that may end, or go on with a character with which what follows may begin; -1: none. */
  #forkIn(symbols: Alternative): number {
    return symbols.findIndex((_, index) => this.#forksAt(index, symbols));
  }

  #forksAt(index: number, symbols: Alternative): boolean {
    const symbol = symbols[index];
    if (symbol?.kind !== 'rule' || index + 1 === symbols.length) return false;
    const goingOn = this.#first.goingOn(symbol.index);
    return goingOn.length > 0 && overlap(goingOn, this.#first.of(symbols.slice(index + 1)));
  }

  #rewrite(alternatives: readonly Alternative[]): readonly Alternative[] {
    const shared = commonBeginning(alternatives, this.#keys);
    if (shared.length > 0 && alternatives.length > 1)
      return [[...shared, ...this.#continued(alternatives.map((symbols) => symbols.slice(shared.length)))]];
    let ways = this.#distinct(alternatives.flatMap((symbols) => this.#unforked(symbols)));
    for (;;) {
      const torn = this.#headsToOpen(ways);
      if (torn.size === 0) break;
      ways = this.#distinct(
        ways.flatMap((symbols, index) =>
          torn.has(index) ? this.#opened(symbols).flatMap((opened) => this.#unforked(opened)) : [symbols],
        ),
      );
    }
    const written = ways.filter(([head]) => head === undefined);
    const byRule = new Map<number, Alternative[]>();
    const byCharacter: Alternative[] = [];
    for (const symbols of ways) {
      const [head, ...rest] = symbols;
      if (head?.kind === 'characters') byCharacter.push(symbols);
      else if (head !== undefined) byRule.set(head.index, [...(byRule.get(head.index) ?? []), rest]);
    }
    for (const [index, rests] of byRule) written.push([{ kind: 'rule', index }, ...this.#continued(rests)]);
    return [...written, ...this.#byCharacters(byCharacter)];
  }

  /** Alternatives that begin with a rule, and with a character with which another alternative may begin. */
  #headsToOpen(ways: readonly Alternative[]): ReadonlySet<number> {
    const torn = new Set<number>();
    // Alternatives with the same first rule count once: that rule will be factored out.
    const heads = new Map<string, number[]>();
    for (const [index, symbols] of ways.entries()) {
      const [head] = symbols;
      if (head === undefined) continue;
      const key =
        head.kind === 'rule' && !this.#first.mayBeEmpty([head]) ? this.#keys.ofSymbol(head) : `${index}`;
      heads.set(key, [...(heads.get(key) ?? []), index]);
    }
    const groups = [...heads.values()];
    const sets = groups.map(([index]) => this.#first.of(ways[index as number] as Alternative));
    for (const group of overlapping(sets))
      for (const index of groups[group] as number[]) if (ways[index]?.[0]?.kind === 'rule') torn.add(index);
    return torn;
  }

  /** Replaces the first rule by its alternatives where it may end, or go on as the rest begins. */
  #unforked(symbols: Alternative): readonly Alternative[] {
    const done: Alternative[] = [];
    const todo = [symbols];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      this.#spend(next.length);
      if (this.#forksAt(0, next)) todo.push(...this.#opened(next));
      else done.push(next);
    }
    return done;
  }

  /** The alternatives of the first rule, each followed by the rest. */
  #opened([head, ...rest]: Alternative): readonly Alternative[] {
    const rule = this.#rules[(head as Extract<Head, { kind: 'rule' }>).index] as FlatRule;
    return rule.alternatives.map((symbols) => [...symbols, ...rest]);
  }

  /** Merges characters with the same sequel into one set; those that several alternatives share lead to all sequels. */
  #byCharacters(ways: readonly Alternative[]): readonly Alternative[] {
    const heads = ways.map(([head]) => (head as Extract<Head, { kind: 'characters' }>).set);
    const bySequel = new Map<string, { sets: CharacterSet[]; sequel: Alternative }>();
    for (const { set, owners } of partition(heads)) {
      const sequel = this.#continued(owners.map((owner) => (ways[owner] as Alternative).slice(1)));
      const key = this.#keys.of(sequel);
      const known = bySequel.get(key) ?? { sets: [], sequel };
      known.sets.push(set);
      bySequel.set(key, known);
    }
    return Array.from(bySequel.values(), ({ sets, sequel }) => [
      { kind: 'characters', set: union(...sets) } as const,
      ...sequel,
    ]);
  }

  /** What allows any of these alternatives: the only one itself, or a rule. */
  #continued(ways: readonly Alternative[]): Alternative {
    const different = this.#distinct(ways);
    const [only] = different;
    if (different.length === 1 && only !== undefined) {
      const fork = this.#forkIn(only);
      return fork === -1 ? only : [...only.slice(0, fork), this.#ruleFor([only.slice(fork)])];
    }
    return [this.#ruleFor(different)];
  }

  #ruleFor(ways: readonly Alternative[]): FlatSymbol {
    const key = this.#keyOf(ways);
    const known = this.#byWays.get(key);
    if (known !== undefined) return { kind: 'rule', index: known };
    this.#rulesLeft -= 1;
    if (this.#rulesLeft < 0 || this.#rules.length - this.#firstAdded >= this.#limits.rulesOfChoice)
      throw new TooLarge();
    const index = this.#rules.push({ ...this.#origin, alternatives: ways }) - 1;
    this.#first.added(index);
    this.#byWays.set(key, index);
    return { kind: 'rule', index };
  }

  #distinct(ways: readonly Alternative[]): Alternative[] {
    if (ways.length > this.#limits.ways) throw new TooLarge();
    this.#spend(ways.reduce((sum, { length }) => sum + length, 0));
    return [...new Map(ways.map((symbols) => [this.#keys.of(symbols), symbols])).values()];
  }

  #keyOf(ways: readonly Alternative[]): string {
    return ways
      .map((symbols) => this.#keys.of(symbols))
      .sort()
      .join('|');
  }

  #spend(symbols: number): void {
    this.#symbolsLeft -= symbols;
    if (this.#symbolsLeft < 0) throw new TooLarge();
  }
}

/** The symbols with which all alternatives begin. */
function commonBeginning(ways: readonly Alternative[], keys: SymbolKeys): Alternative {
  const [first = [], ...others] = ways;
  const differs = first.findIndex((symbol, index) => {
    const key = keys.ofSymbol(symbol);
    return others.some((other) => other[index] === undefined || keys.ofSymbol(other[index]) !== key);
  });
  return differs === -1 ? first : first.slice(0, differs);
}

/** Depth up to which rules that end with rules are followed. */
const ROUNDS = 8;

const NOTHING: CharacterSet = [];

/**
 * The characters with which a rule or a sequence may begin, computed once each. The rules must not be left-recursive;
 * rules may be added later, but never changed.
 */
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

  /** To be called when a rule was added. */
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
   * The characters with which a rule may go on at a point where it may also end. May miss some where rules end with one
   * another in long cycles.
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

  /** From the last symbol backwards, while what follows may be empty. */
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

  /** Not recursive: rules may begin with one another thousands deep. */
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

  /** The symbols that a text may begin with: the first, and those behind what may be empty. */
  #leading(symbols: Alternative): Alternative {
    const end = symbols.findIndex((symbol) => symbol.kind === 'characters' || !this.#empty.has(symbol.index));
    return end === -1 ? symbols : symbols.slice(0, end + 1);
  }

  /** Equal unions are one object, so that they compare quickly. */
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
