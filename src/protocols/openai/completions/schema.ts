/** The body that /v1/completions takes: validation, types and OpenAPI all come from here. */
import { type Static, Type } from 'typebox';
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
const token = Type.Integer({ minimum: 0 });

export const CompletionBody = Type.Object({
  model,
  prompt: Type.Union(
    [
      text,
      Type.Array(text, { minItems: 1 }),
      Type.Array(token, { minItems: 1 }),
      Type.Array(Type.Array(token, { minItems: 1 }), { minItems: 1 }),
    ],
    {
      title: 'a text of at least 1 character, or a list of such texts',
      description:
        'Goes to the model as it is: no chat template, special tokens are parsed. Several texts: n answers to each, in their ' +
        'order. Tokens are refused: send the text.',
    },
  ),
  max_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `Default: ${DEFAULT_MAX_TOKENS}, as OpenAI’s. More than the context holds is lowered to it.`,
    }),
  ),
  ...samplingFields,
  ...limitFields,
  ...deliveryFields,
  best_of: Type.Optional(Type.Integer({ minimum: 1, description: 'Only the same as n.' })),
  echo: Type.Optional(
    Type.Boolean({ description: 'The prompt stands in front of the text. Not with logprobs.' }),
  ),
  logprobs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 20, description: 'So many of the likeliest tokens at each place.' }),
  ),
  suffix: refused(Type.String({ description: 'Refused: nothing is inserted in front of a text.' })),
  user: ignored(),
});

export type CompletionBody = Static<typeof CompletionBody>;
