/** The body that /v1/completions takes: validation, types and OpenAPI all come from here. */
import { type Static, Type } from 'typebox';
import { constraintFields, responseFormat } from '../constraint-fields.ts';
import {
  deliveryFields,
  ignored,
  limitFields,
  model,
  refused,
  samplingFields,
} from '../generation-fields.ts';

/** OpenAI's own, which clients rely on. */
export const DEFAULT_MAX_TOKENS = 16;

const text = Type.String({ minLength: 1 });
export const severalTexts = Type.Array(text, { minItems: 1 });
export const tokenIds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });
export const severalTokenIds = Type.Array(tokenIds, { minItems: 1 });

export const CompletionBody = Type.Object({
  model,
  prompt: Type.Union([text, severalTexts, tokenIds, severalTokenIds], {
    title: 'a text of at least 1 character, a list of token ids, or a list of either',
    description:
      'Goes to the model as it is: no chat template, special tokens are parsed. Token ids are those of the model’s own ' +
      'vocabulary, and nothing is added to them. Of several prompts: n answers to each, in their order.',
  }),
  max_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `Default: ${DEFAULT_MAX_TOKENS}, as OpenAI’s. More than the context holds is lowered to it.`,
    }),
  ),
  ...samplingFields,
  ...limitFields,
  ...deliveryFields,
  response_format: Type.Optional(responseFormat),
  ...constraintFields,
  best_of: Type.Optional(Type.Integer({ minimum: 1, description: 'Only the same as n.' })),
  echo: Type.Optional(
    Type.Boolean({
      description: 'The prompt stands in front of the text. Not with logprobs, nor with token ids.',
    }),
  ),
  logprobs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 20, description: 'So many of the likeliest tokens at each place.' }),
  ),
  suffix: refused(Type.String({ description: 'Refused: nothing is inserted in front of a text.' })),
  user: ignored(),
});

export type CompletionBody = Static<typeof CompletionBody>;
