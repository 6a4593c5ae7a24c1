/** A regular expression as rules. How one character of a set is written is for the place to say: as itself, or as JSON spells it. */
import type { CharacterSet } from '../gbnf/character-set.ts';
import type { RuleBook } from '../gbnf/rule-book.ts';
import { alternatives, repeated, sequence } from '../gbnf/text.ts';
import type { Expression } from './regular-expression.ts';

export interface ExpressionWriter {
  readonly book: RuleBook;
  /** One character of the set. */
  one(set: CharacterSet): string;
  /** What `one` writes is a single character class, which may be repeated as it is. */
  isOne(set: CharacterSet): boolean;
}

export function expressionRules(expression: Expression, writer: ExpressionWriter): string {
  const { book } = writer;
  switch (expression.kind) {
    case 'character':
      return writer.one(expression.set);
    case 'sequence':
      return sequence(...expression.parts.map((part) => expressionRules(part, writer)));
    case 'choice':
      return expression.ways.length === 1
        ? expressionRules(expression.ways[0] as Expression, writer)
        : book.add('way', alternatives(expression.ways.map((way) => expressionRules(way, writer))));
    case 'repetition':
      return repeated(repeatable(expression.of, writer), expression.least, expression.most);
    default:
      throw expression satisfies never;
  }
}

/** A character class, or a rule of its own. */
function repeatable(expression: Expression, writer: ExpressionWriter): string {
  if (expression.kind === 'character' && writer.isOne(expression.set)) return writer.one(expression.set);
  return writer.book.add('part', expressionRules(expression, writer));
}
