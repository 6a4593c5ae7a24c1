/** What the native API answers: the whole body, the events of a stream, the error object. For OpenAPI; tests hold every answer to it. */
import { Type } from 'typebox';

const Usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  cached_tokens: Type.Integer(),
});

const Timings = Type.Object({
  queue_ms: Type.Number(),
  ttft_ms: Type.Number(),
  generate_ms: Type.Number(),
  total_ms: Type.Number(),
});

const Batch = Type.Object({ id: Type.String(), size: Type.Integer({ minimum: 1 }) });

const callHead = { id: Type.String(), name: Type.String() };

const ToolCall = Type.Union([
  Type.Object({ ...callHead, arguments: Type.Object({}, { additionalProperties: true }) }),
  Type.Object({
    ...callHead,
    arguments_text: Type.String({
      description:
        'Instead of arguments, where what the model wrote is no JSON object: it was cut off. Not to be called.',
    }),
  }),
]);

const likelyToken = {
  token: Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' }),
  token_id: Type.Optional(Type.Integer({ minimum: 0, description: 'Where the backend tells it.' })),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
  logprob: Type.Number({
    maximum: 0,
    description: 'Natural logarithm; -9999 stands for anything less likely.',
  }),
};

const Logprobs = Type.Array(
  Type.Object({
    ...likelyToken,
    top_logprobs: Type.Array(Type.Object(likelyToken), { description: 'Likeliest first.' }),
  }),
  { description: 'One for each token of the text, when asked for with logprobs.' },
);

export const GenerateAnswer = Type.Object({
  id: Type.String(),
  model: Type.String(),
  text: Type.String(),
  reasoning: Type.Optional(Type.String()),
  tool_calls: Type.Optional(Type.Array(ToolCall, { minItems: 1 })),
  logprobs: Type.Optional(Logprobs),
  finish_reason: Type.Enum(['stop', 'length', 'tool_calls', 'content_filter'], {
    description:
      'tool_calls: the model waits for the answers of its tools, as messages with role tool. content_filter: the backend would not go on.',
  }),
  usage: Usage,
  timings: Timings,
  batch: Batch,
});

export const ErrorAnswer = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    request_id: Type.String(),
  }),
});

const callIndex = Type.Integer({ minimum: 0, description: 'Which call of this answer, from 0.' });

/** The `data:` of one event of a stream. */
export const StreamEvent = Type.Union([
  Type.Object({ token: Type.String({ minLength: 1 }), logprobs: Type.Optional(Logprobs) }),
  Type.Object({ reasoning: Type.String({ minLength: 1 }) }),
  Type.Object({
    tool_call: Type.Object({ index: callIndex, ...callHead }, { description: 'A call begins.' }),
  }),
  Type.Object({
    tool_call: Type.Object(
      { index: callIndex, arguments: Type.String({ minLength: 1 }) },
      { description: 'A piece of its arguments: together they are the text of a JSON object.' },
    ),
  }),
  Type.Object({
    queue: Type.Object({ position: Type.Integer({ minimum: 0 }), eta_ms: Type.Integer({ minimum: 0 }) }),
  }),
  Type.Omit(GenerateAnswer, ['text', 'reasoning', 'tool_calls', 'logprobs']),
  ErrorAnswer,
]);
