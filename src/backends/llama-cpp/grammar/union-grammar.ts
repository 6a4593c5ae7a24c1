/** A grammar for the texts of either of two: what holds an answer that is a call of a tool or text in a format. */
import type { Alternative, FlatGrammar } from './gbnf/flat-grammar.ts';
import { parseGbnf } from './gbnf/parser.ts';
import { writeGbnf } from './gbnf/write.ts';
import { finished } from './schema-grammar.ts';

export interface UnionGrammarOptions {
  /** The field at fault where the two together are too much. */
  readonly param: string;
}

/** Both have passed their checks; throws `invalid_request` where what they are together does not. */
export function unionGrammar(one: string, other: string, { param }: UnionGrammarOptions): string {
  const first = parseGbnf(one);
  const second = parseGbnf(other);
  const moved = second.rules.map((rule) => ({
    ...rule,
    alternatives: rule.alternatives.map((symbols) => movedBy(first.rules.length, symbols)),
  }));
  const alternatives: readonly Alternative[] = [
    [{ kind: 'rule', index: first.root }],
    [{ kind: 'rule', index: first.rules.length + second.root }],
  ];
  const root = { name: 'root', line: 1, alternatives };
  const rules = [...first.rules, ...moved, root];
  const union: FlatGrammar = { rules, root: rules.length - 1 };
  return finished(writeGbnf(union), param);
}

function movedBy(count: number, symbols: Alternative): Alternative {
  return symbols.map((symbol) =>
    symbol.kind === 'rule' ? { kind: 'rule', index: symbol.index + count } : symbol,
  );
}
