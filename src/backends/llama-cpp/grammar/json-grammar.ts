/** JSON mode: any one JSON object, and nothing around it. */
import { RuleBook } from './gbnf/rule-book.ts';

export function jsonGrammar(): string {
  const book = new RuleBook();
  return book.text(book.json('object'));
}
