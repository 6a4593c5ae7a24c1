/**
 * Finds rules that say the same: those with the same alternatives, and those that only stand for another. Every
 * reference then names one of them, so that what is equal can be seen to be equal.
 */
import type { Alternative, FlatGrammar, FlatRule, FlatSymbol } from './flat-grammar.ts';
import type { SymbolKeys } from './symbol-keys.ts';

/** Rules that are equal because those are equal that they refer to, so many times over. */
const ROUNDS = 6;

/** The grammar with one rule for all that are equal; the others stay, but nothing refers to them. */
export function mergeEqualRules(grammar: FlatGrammar, keys: SymbolKeys): FlatGrammar {
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

/** What stands in the place of a reference to a rule: another rule, a character, or nothing. */
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
