/** Fields about tokens of the model's own vocabulary, the same in the native API and on /v1. Counted, as each costs time per token. */
import { Type } from 'typebox';

const MAX_STOP_TOKENS = 256;
const MAX_BAD_WORDS = 256;

/** Blanks in front of a word are ignored, so a word of blanks alone would forbid nothing. */
const badWord = Type.String({
  pattern: '\\S',
  maxLength: 256,
  title: 'a string of 1 to 256 characters that are not all blanks',
});

export const tokenFields = {
  stop_token_ids: Type.Optional(
    Type.Array(Type.Integer({ minimum: 0 }), {
      maxItems: MAX_STOP_TOKENS,
      description: 'Generation ends with any of these tokens, which are no part of the answer.',
    }),
  ),
  bad_words: Type.Optional(
    Type.Array(badWord, {
      maxItems: MAX_BAD_WORDS,
      description: 'Their tokens never follow one another in the answer.',
    }),
  ),
};
