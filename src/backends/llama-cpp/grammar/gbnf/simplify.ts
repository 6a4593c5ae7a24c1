/**
 * The same texts by a grammar that gives the engine less to follow: equal rules are one, and choices are told apart by
 * their next character wherever that takes few rules.
 */
import { ChoiceMerger, type MergeLimits } from './choice-merger.ts';
import { mergeEqualRules } from './equal-rules.ts';
import { FirstSets } from './first-sets.ts';
import type { Alternative, FlatGrammar, FlatRule } from './flat-grammar.ts';
import { mergeOptionalRows } from './optional-rows.ts';
import { emptyRules } from './rule-closure.ts';
import { SymbolKeys } from './symbol-keys.ts';

const LIMITS: MergeLimits = { rulesOfChoice: 300, ways: 2_000, rules: 300, symbols: 40_000 };
/** Of a grammar that is simplified at all, once repetitions have been written out. */
const RULES_AT_MOST = 5_000;
/** What has been told apart shows where more can be. */
const PASSES = 3;

/** The grammar itself where there is nothing to rewrite. It must not be left-recursive. */
export function simplify(grammar: FlatGrammar): FlatGrammar {
  if (grammar.rules.length > RULES_AT_MOST) return grammar;
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
  /** There was too much to rewrite: it was left alone. */
  readonly exhausted: boolean;
}

function simplifiedOnce(grammar: FlatGrammar): Pass {
  const keys = new SymbolKeys();
  if (!isAmbiguous(grammar, keys)) return { grammar, exhausted: false };
  const merged = mergeOptionalRows(mergeEqualRules(grammar, keys));
  const rules: FlatRule[] = [...merged.rules];
  const first = new FirstSets(rules, emptyRules(rules));
  const merger = new ChoiceMerger(rules, { first, keys, limits: LIMITS });
  const rewritten = new Map<number, readonly Alternative[]>();
  const reached = new Set([merged.root]);
  for (const index of reached) {
    const alternatives = merger.merged(index);
    // Half rewritten, a grammar can be read in as many ways as before, only that they are harder to find.
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
  // What was rewritten from different beginnings may have become equal.
  const simple = mergeEqualRules({ rules: now, root: merged.root }, keys);
  return { grammar: reachedOnly(simple), exhausted: false };
}

function isAmbiguous({ rules, root }: FlatGrammar, keys: SymbolKeys): boolean {
  const first = new FirstSets(rules, emptyRules(rules));
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

/** Only the rules that the root leads to, in their old order. */
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
