/** What /v1/chat/completions answers: the whole body, the chunks of a stream. */
import { type TSchema, Type } from 'typebox';
import { finishReason, headFields } from '../answer-head.ts';
import { OpenAiError } from '../errors.ts';
import { UsageAnswer } from '../usage.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

const likelyToken = {
  token: Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' }),
  logprob: Type.Number({ maximum: 0, description: '-9999 stands for anything less likely.' }),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
};

const ChatLogprobs = Type.Object({
  content: Type.Array(
    Type.Object({
      ...likelyToken,
      top_logprobs: Type.Array(Type.Object(likelyToken), { description: 'Likeliest first.' }),
    }),
  ),
  refusal: Type.Null(),
});

const callHead = { id: Type.String(), type: Type.Literal('function') };

export const ChatCompletion = Type.Object({
  ...headFields,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer({ minimum: 0 }),
      message: Type.Object({
        role: Type.Literal('assistant'),
        content: nullable(Type.String({ description: 'null where there are only calls.' })),
        refusal: Type.Null(),
        reasoning_content: Type.Optional(Type.String({ description: 'What the model thought before it.' })),
        tool_calls: Type.Optional(
          Type.Array(
            Type.Object({
              ...callHead,
              function: Type.Object({
                name: Type.String(),
                arguments: Type.String({
                  description: 'As the model wrote it: the text of a JSON object, unless it was cut off.',
                }),
              }),
            }),
            { minItems: 1 },
          ),
        ),
      }),
      logprobs: nullable(ChatLogprobs),
      finish_reason: finishReason,
    }),
    { minItems: 1 },
  ),
  usage: UsageAnswer,
});

const callIndex = Type.Integer({ minimum: 0, description: 'Which call of this answer, from 0.' });

const Delta = Type.Object({
  role: Type.Optional(Type.Literal('assistant')),
  content: Type.Optional(Type.String()),
  refusal: Type.Optional(Type.Null()),
  reasoning_content: Type.Optional(Type.String({ minLength: 1 })),
  tool_calls: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Object({
          index: callIndex,
          ...callHead,
          function: Type.Object({ name: Type.String(), arguments: Type.Literal('') }),
        }),
        Type.Object({
          index: callIndex,
          function: Type.Object({ arguments: Type.String({ minLength: 1 }) }),
        }),
      ]),
      { minItems: 1, maxItems: 1 },
    ),
  ),
});

/** The `data:` of one event. */
export const ChatChunk = Type.Union([
  Type.Object({
    ...headFields,
    object: Type.Literal('chat.completion.chunk'),
    choices: Type.Array(
      Type.Object({
        index: Type.Integer({ minimum: 0 }),
        delta: Delta,
        logprobs: nullable(ChatLogprobs),
        finish_reason: nullable(finishReason),
      }),
      { maxItems: 1, description: 'Empty in the chunk that tells the usage.' },
    ),
    usage: Type.Optional(nullable(UsageAnswer)),
  }),
  OpenAiError,
]);
