/** What /v1/completions answers: whole bodies and chunks have the same shape. */
import { type TSchema, Type } from 'typebox';
import { finishReason, headFields } from '../answer-head.ts';
import { OpenAiError } from '../errors.ts';
import { UsageAnswer } from '../usage.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

const TokenLogprobs = Type.Object(
  {
    tokens: Type.Array(Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' })),
    token_logprobs: Type.Array(Type.Number({ maximum: 0 })),
    top_logprobs: Type.Array(
      Type.Record(Type.String(), Type.Number({ maximum: 0 }), {
        description: 'The likeliest tokens, and the one that was taken.',
      }),
    ),
    text_offset: Type.Array(
      Type.Integer({ minimum: 0, description: 'Characters of the text before the token.' }),
    ),
  },
  { description: 'One entry in each list for each token of the text.' },
);

const choiceFields = {
  index: Type.Integer({ minimum: 0, description: 'All answers to the first prompt, then all to the next.' }),
  text: Type.String(),
  logprobs: nullable(TokenLogprobs),
};

const bodyFields = { ...headFields, object: Type.Literal('text_completion') };

export const Completion = Type.Object({
  ...bodyFields,
  choices: Type.Array(Type.Object({ ...choiceFields, finish_reason: finishReason }), { minItems: 1 }),
  usage: UsageAnswer,
});

/** The `data:` of one event. */
export const CompletionChunk = Type.Union([
  Type.Object({
    ...bodyFields,
    choices: Type.Array(Type.Object({ ...choiceFields, finish_reason: nullable(finishReason) }), {
      maxItems: 1,
      description: 'Empty in the chunk that tells the usage.',
    }),
    usage: Type.Optional(nullable(UsageAnswer)),
  }),
  OpenAiError,
]);
