/**
 * Which rules can be empty, and which can come to an end: the rules with an alternative of nothing but symbols that
 * already have the property, found from the leaves upwards in time linear in the size of the grammar.
 */
import type { FlatRule } from './flat-grammar.ts';

interface OpenAlternative {
  readonly rule: number;
  /** References whose rules are not known to have the property yet. */
  open: number;
}

/** Rules that match the empty text. */
export function emptyRules(rules: readonly FlatRule[]): ReadonlySet<number> {
  return closure(rules, false);
}

/** Rules that match at least one text of finite length. */
export function endingRules(rules: readonly FlatRule[]): ReadonlySet<number> {
  return closure(rules, true);
}

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
