/** Token ids that come from outside: native code takes none that the vocabulary does not have. Pure. */
import { ServingError } from '../../../core/errors.ts';
import type { Token } from './library.ts';

/** Throws `invalid_request` for the first that is none of the model’s; `param` is the field that names it. */
export function requireKnownTokens(tokens: readonly Token[], vocabularySize: number, param: string): void {
  const unknown = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (unknown === undefined) return;
  const message =
    `${param} names token ${unknown}, but this model’s tokens are 0 to ${vocabularySize - 1}. ` +
    'Token ids are those of the model’s own vocabulary.';
  throw new ServingError('invalid_request', { message, param });
}
