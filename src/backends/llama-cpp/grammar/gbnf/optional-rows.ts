/**
 * `x? x? x?` as `x{0,3}`, and `x* x* x*` as `x*`: which of the three a text leaves out makes no difference, but the engine
 * would follow every way to choose them. Equal rules are one already.
 */
import type { Alternative, FlatGrammar, FlatRule, FlatSymbol } from './flat-grammar.ts';

/** The grammar with a rule for each number of optional parts in a row; itself where there are none. */
export function mergeOptionalRows(grammar: FlatGrammar): FlatGrammar {
  const rules: FlatRule[] = [...grammar.rules];
  /** For an optional rule: the rules for one of it, two, three, … */
  const rows = new Map<number, number[]>();
  const rowOf = (optional: number, count: number): FlatSymbol => {
    const rule = rules[optional] as FlatRule;
    const part = optionalPart(rule) ?? [];
    const last = part.at(-1);
    // It is any number already.
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

/** How often the symbol at a place follows itself, if it is optional; otherwise 0. */
function optionalsInRow(symbols: Alternative, at: number, rules: readonly FlatRule[]): number {
  const first = symbols[at];
  if (first?.kind !== 'rule' || optionalPart(rules[first.index] as FlatRule) === undefined) return 0;
  let count = 1;
  for (; ; count++) {
    const next = symbols[at + count];
    if (next?.kind !== 'rule' || next.index !== first.index) return count;
  }
}

/** Of a rule that allows one thing or nothing. */
function optionalPart({ alternatives }: FlatRule): Alternative | undefined {
  if (alternatives.length !== 2 || !alternatives.some((symbols) => symbols.length === 0)) return undefined;
  return alternatives.find((symbols) => symbols.length > 0);
}
