/**
 * A grammar as llama.cpp's engine holds it: groups and repetitions are rules of their own, alternatives are plain sequences
 * of characters and references. Every check, and every bound on what the engine will do, works on this.
 */

import type { CharacterSet } from './character-set.ts';

export type FlatSymbol =
  /** One character of the set. */
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  /** The rule at that index of the grammar. */
  | { readonly kind: 'rule'; readonly index: number };

export type Alternative = readonly FlatSymbol[];

export interface FlatRule {
  /** As the author named it; a rule made for a group or a repetition has the name of the rule that contains it. */
  readonly name: string;
  /** Line where the name first occurs, from 1. */
  readonly line: number;
  readonly alternatives: readonly Alternative[];
}

export interface FlatGrammar {
  /** In the order in which the engine numbers them. */
  readonly rules: readonly FlatRule[];
  /** Index of the rule `root`. */
  readonly root: number;
}

/** What is wrong with a grammar, and where. */
export class GrammarError extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}

/** Keys that are equal for equal symbols and sequences. Owns the numbers given to character sets. */
export class SymbolKeys {
  readonly #bySet = new WeakMap<CharacterSet, number>();
  readonly #byContent = new Map<string, number>();

  /** `self`: the rule that the sequence belongs to; references to it have the same key in every rule. */
  of(symbols: Alternative, { self }: { readonly self?: number } = {}): string {
    return symbols
      .map((symbol) => (symbol.kind === 'rule' && symbol.index === self ? '*' : this.ofSymbol(symbol)))
      .join(' ');
  }

  ofSymbol(symbol: FlatSymbol): string {
    return symbol.kind === 'rule' ? `r${symbol.index}` : `c${this.#numberOf(symbol.set)}`;
  }

  #numberOf(set: CharacterSet): number {
    const known = this.#bySet.get(set);
    if (known !== undefined) return known;
    const content = set.map(({ from, to }) => `${from}-${to}`).join();
    const number = this.#byContent.get(content) ?? this.#byContent.size;
    this.#byContent.set(content, number);
    this.#bySet.set(set, number);
    return number;
  }
}

interface OpenAlternative {
  readonly rule: number;
  /** References to rules that are not known to have the property yet. */
  open: number;
}

/** Rules that match the empty text. */
export function nullableRules(rules: readonly FlatRule[]): ReadonlySet<number> {
  return closure(rules, false);
}

/** Rules that match at least one text of finite length. */
export function productiveRules(rules: readonly FlatRule[]): ReadonlySet<number> {
  return closure(rules, true);
}

/**
 * The rules with an alternative of nothing but symbols that have the property. Linear in the size of the grammar.
 */
function closure(rules: readonly FlatRule[], charactersHaveIt: boolean): ReadonlySet<number> {
  const found = new Set<number>();
  const fresh: number[] = [];
  const mentions = new Map<number, OpenAlternative[]>();
  const add = (rule: number) => {
    if (found.has(rule)) return;
    found.add(rule);
    fresh.push(rule);
  };
  for (const [rule, { alternatives }] of rules.entries()) {
    for (const symbols of alternatives) {
      const references = symbols.flatMap((symbol) => (symbol.kind === 'rule' ? [symbol.index] : []));
      if (!charactersHaveIt && references.length < symbols.length) continue;
      const alternative = { rule, open: references.length };
      if (alternative.open === 0) add(rule);
      for (const reference of references) {
        const list = mentions.get(reference);
        if (list) list.push(alternative);
        else mentions.set(reference, [alternative]);
      }
    }
  }
  for (let rule = fresh.pop(); rule !== undefined; rule = fresh.pop()) {
    for (const alternative of mentions.get(rule) ?? []) {
      alternative.open -= 1;
      if (alternative.open === 0) add(alternative.rule);
    }
  }
  return found;
}
