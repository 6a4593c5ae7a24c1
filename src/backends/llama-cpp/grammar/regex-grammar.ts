/** A grammar for the texts that a regular expression matches as a whole. */
import { ServingError } from '../../../core/errors.ts';
import { RuleBook } from './gbnf/rule-book.ts';
import { characterClass } from './gbnf/text.ts';
import { expressionRules } from './schema/expression-rules.ts';
import { PatternProblem, readWholeText } from './schema/regular-expression.ts';
import { finished, refusing } from './schema-grammar.ts';

const PARAM = 'regex';

/** Throws `invalid_request` for what a grammar cannot express. */
export function regexGrammar(regex: string): string {
  const book = new RuleBook();
  const root = refusing(PARAM, () =>
    expressionRules(read(regex), { book, one: characterClass, isOne: () => true }),
  );
  return finished(book.text(root), PARAM);
}

function read(regex: string) {
  try {
    return readWholeText(regex);
  } catch (thrown) {
    if (!(thrown instanceof PatternProblem)) throw thrown;
    throw new ServingError('invalid_request', { message: `${PARAM} ${thrown.message}`, param: PARAM });
  }
}
