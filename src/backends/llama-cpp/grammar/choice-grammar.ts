/** A grammar for exactly one of some texts: those that begin alike share their beginning. */
import { ServingError } from '../../../core/errors.ts';
import { RuleBook } from './gbnf/rule-book.ts';
import { anyOfTexts } from './gbnf/text-trie.ts';
import { SCHEMA_LIMITS } from './limits.ts';
import { finished, refusing } from './schema-grammar.ts';

const PARAM = 'choice';

/** Throws `invalid_request` where there are too many, or none that has a character. */
export function choiceGrammar(choices: readonly string[]): string {
  const characters = choices.reduce((sum, choice) => sum + choice.length, 0);
  if (choices.length > SCHEMA_LIMITS.enumValues)
    throw refused(`has ${choices.length} entries. At most ${SCHEMA_LIMITS.enumValues} are allowed.`);
  if (characters > SCHEMA_LIMITS.enumCharacters)
    throw refused(`has ${characters} characters. At most ${SCHEMA_LIMITS.enumCharacters} are allowed.`);
  if (characters === 0) throw refused('has no text. Give at least one that is not empty.');
  return refusing(PARAM, () => {
    const book = new RuleBook();
    return finished(book.text(anyOfTexts(choices, book)), PARAM);
  });
}

function refused(what: string): ServingError {
  return new ServingError('invalid_request', { message: `${PARAM} ${what}`, param: PARAM });
}
