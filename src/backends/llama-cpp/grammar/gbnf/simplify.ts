/**
 * Rewrites a grammar so that the engine has fewer paths to follow, for the same texts: equal rules become one, rows of
 * optional parts become one repetition, and alternatives differ in their first character where that takes few rules.
 */

import { ChoiceMerger, FirstSets, type MergeLimits } from './choice-merger.ts';
import {
  type Alternative,
  type FlatGrammar,
  type FlatRule,
  type FlatSymbol,
  nullableRules,
  SymbolKeys,
} from './flat-grammar.ts';

const LIMITS: MergeLimits = { rulesOfChoice: 300, ways: 2_000, rules: 300, symbols: 40_000 };
/** A grammar with more, once repetitions are expanded, is not simplified. */
const MAX_RULES = 5_000;
/** One pass may show what the next can merge. */
const PASSES = 3;

/** The grammar itself where there is nothing to rewrite. It must not be left-recursive. */
export function simplify(grammar: FlatGrammar): FlatGrammar {
  if (grammar.rules.length > MAX_RULES) return grammar;
  let simple = grammar;
  for (let pass = 0; pass < PASSES; pass++) {
    const { grammar: next, exhausted } = simplifiedOnce(simple);
    if (next === simple) break;
    simple = next;
    if (exhausted) break;
  }
  return simple;
}

interface Pass {
  readonly grammar: FlatGrammar;
  /** There was too much to rewrite, so that nothing was. */
  readonly exhausted: boolean;
}

function simplifiedOnce(grammar: FlatGrammar): Pass {
  const keys = new SymbolKeys();
  if (!isAmbiguous(grammar, keys)) return { grammar, exhausted: false };
  const merged = mergeOptionalRows(mergeEqualRules(grammar, keys));
  const rules: FlatRule[] = [...merged.rules];
  const first = new FirstSets(rules, nullableRules(rules));
  const merger = new ChoiceMerger(rules, { first, keys, limits: LIMITS });
  const rewritten = new Map<number, readonly Alternative[]>();
  const reached = new Set([merged.root]);
  for (const index of reached) {
    const alternatives = merger.merged(index);
    // Half rewritten, a grammar has as many paths as before, which are only harder to find.
    if (merger.exhausted)
      return { grammar: merged === grammar ? grammar : reachedOnly(merged), exhausted: true };
    if (alternatives !== undefined) rewritten.set(index, alternatives);
    for (const other of referencesOf(alternatives ?? (rules[index] as FlatRule).alternatives))
      reached.add(other);
  }
  if (merged === grammar && rewritten.size === 0) return { grammar, exhausted: false };
  const now = rules.map((rule, index) => ({
    ...rule,
    alternatives: rewritten.get(index) ?? rule.alternatives,
  }));
  // Rules that were rewritten may have become equal.
  const simple = mergeEqualRules({ rules: now, root: merged.root }, keys);
  return { grammar: reachedOnly(simple), exhausted: false };
}

function isAmbiguous({ rules, root }: FlatGrammar, keys: SymbolKeys): boolean {
  const first = new FirstSets(rules, nullableRules(rules));
  const merger = new ChoiceMerger([...rules], { first, keys, limits: LIMITS });
  const reached = new Set([root]);
  for (const index of reached) {
    if (merger.isAmbiguous(index)) return true;
    for (const other of referencesOf((rules[index] as FlatRule).alternatives)) reached.add(other);
  }
  return false;
}

function referencesOf(alternatives: readonly Alternative[]): readonly number[] {
  return alternatives.flat().flatMap((symbol) => (symbol.kind === 'rule' ? [symbol.index] : []));
}

/** Only the rules that the root leads to, in the same order. */
function reachedOnly({ rules, root }: FlatGrammar): FlatGrammar {
  const reached = new Set([root]);
  for (const index of reached)
    for (const other of referencesOf((rules[index] as FlatRule).alternatives)) reached.add(other);
  const kept = [...reached].sort((one, other) => one - other);
  const numbers = new Map(kept.map((old, now) => [old, now]));
  const numberOf = (old: number) => numbers.get(old) as number;
  return {
    root: numberOf(root),
    rules: kept.map((old) => {
      const rule = rules[old] as FlatRule;
      const alternatives = rule.alternatives.map((symbols) =>
        symbols.map((symbol) =>
          symbol.kind === 'rule' ? { ...symbol, index: numberOf(symbol.index) } : symbol,
        ),
      );
      return { ...rule, alternatives };
    }),
  };
}

/** Rounds of finding equal rules: rules become equal when those that they refer to do. */
const ROUNDS = 6;

/**
 * Merges rules with the same alternatives, and rules that only stand for another. Every reference then names one of them;
 * the others stay, but nothing refers to them.
 */
function mergeEqualRules(grammar: FlatGrammar, keys: SymbolKeys): FlatGrammar {
  let { rules, root } = grammar;
  for (let round = 0; round < ROUNDS; round++) {
    const replacements = replacementsOf(rules, keys);
    const isUsed = (symbol: FlatSymbol) => symbol.kind === 'rule' && replacements.has(symbol.index);
    if (!rules.some(({ alternatives }) => alternatives.some((symbols) => symbols.some(isUsed)))) break;
    const renamed = (symbols: Alternative): Alternative =>
      symbols.some(isUsed) ? symbols.flatMap((symbol) => replaced(symbol, replacements)) : symbols;
    rules = rules.map((rule) => ({ ...rule, alternatives: distinct(rule.alternatives.map(renamed), keys) }));
    const kept = replacements.get(root)?.[0];
    if (kept?.kind === 'rule') root = kept.index;
  }
  return rules === grammar.rules ? grammar : { rules, root };
}

/** What replaces a reference to a rule: another rule, a character, or nothing. */
type Replacements = ReadonlyMap<number, Alternative>;

function replacementsOf(rules: readonly FlatRule[], keys: SymbolKeys): Replacements {
  const found = new Map<number, Alternative>();
  const byBody = new Map<string, number>();
  for (const [index, { alternatives }] of rules.entries()) {
    const [only] = alternatives;
    if (alternatives.length === 1 && only !== undefined && only.length <= 1) {
      found.set(index, only);
      continue;
    }
    const body = alternatives
      .map((symbols) => keys.of(symbols, { self: index }))
      .sort()
      .join('|');
    const first = byBody.get(body);
    if (first === undefined) byBody.set(body, index);
    else found.set(index, [{ kind: 'rule', index: first }]);
  }
  return found;
}

function replaced(symbol: FlatSymbol, replacements: Replacements): Alternative {
  let now: Alternative = [symbol];
  for (;;) {
    const [only] = now;
    const next = only?.kind === 'rule' ? replacements.get(only.index) : undefined;
    if (next === undefined) return now;
    now = next;
  }
}

function distinct(alternatives: readonly Alternative[], keys: SymbolKeys): readonly Alternative[] {
  if (alternatives.length < 2) return alternatives;
  return [...new Map(alternatives.map((symbols) => [keys.of(symbols), symbols])).values()];
}

/**
 * Writes `x? x? x?` as `x{0,3}`, and `x* x* x*` as `x*`: which of the three a text omits makes no difference, but the
 * engine would follow every combination. Equal rules must have been merged. Returns the grammar itself where there are none.
 */
function mergeOptionalRows(grammar: FlatGrammar): FlatGrammar {
  const rules: FlatRule[] = [...grammar.rules];
  /** For an optional rule: the rules for one of it, two, three, … */
  const rows = new Map<number, number[]>();
  const rowOf = (optional: number, count: number): FlatSymbol => {
    const rule = rules[optional] as FlatRule;
    const part = optionalPart(rule) ?? [];
    const last = part.at(-1);
    // It allows any number already.
    if (last?.kind === 'rule' && last.index === optional) return last;
    const row = rows.get(optional) ?? [optional];
    rows.set(optional, row);
    for (let shorter = row.length; shorter < count; shorter++) {
      const rest: FlatSymbol = { kind: 'rule', index: row[shorter - 1] as number };
      row.push(rules.push({ ...rule, alternatives: [[...part, rest], []] }) - 1);
    }
    return { kind: 'rule', index: row[count - 1] as number };
  };
  const merged = (symbols: Alternative): Alternative => {
    const now: FlatSymbol[] = [];
    for (let at = 0; at < symbols.length; ) {
      const symbol = symbols[at] as FlatSymbol;
      const count = optionalsInRow(symbols, at, grammar.rules);
      now.push(count > 1 && symbol.kind === 'rule' ? rowOf(symbol.index, count) : symbol);
      at += Math.max(count, 1);
    }
    return now.length === symbols.length ? symbols : now;
  };
  let found = false;
  for (const [index, rule] of grammar.rules.entries()) {
    const alternatives = rule.alternatives.map(merged);
    if (alternatives.every((symbols, at) => symbols === rule.alternatives[at])) continue;
    rules[index] = { ...rule, alternatives };
    found = true;
  }
  return found ? { ...grammar, rules } : grammar;
}

/** How many times in a row the symbol at that index stands, if it is optional; otherwise 0. */
function optionalsInRow(symbols: Alternative, at: number, rules: readonly FlatRule[]): number {
  const first = symbols[at];
  if (first?.kind !== 'rule' || optionalPart(rules[first.index] as FlatRule) === undefined) return 0;
  let count = 1;
  for (; ; count++) {
    const next = symbols[at + count];
    if (next?.kind !== 'rule' || next.index !== first.index) return count;
  }
}

/** What an optional rule allows besides nothing; undefined for other rules. */
function optionalPart({ alternatives }: FlatRule): Alternative | undefined {
  if (alternatives.length !== 2 || !alternatives.some((symbols) => symbols.length === 0)) return undefined;
  return alternatives.find((symbols) => symbols.length > 0);
}
