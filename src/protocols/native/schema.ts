/** The bodies of the native API: validation, types and OpenAPI all come from here. */
import { type Static, Type } from 'typebox';
import { PRIORITIES } from '../../core/priority.ts';

const message = Type.Object(
  {
    role: Type.Enum(['system', 'user', 'assistant']),
    content: Type.String(),
  },
  { additionalProperties: false },
);

const stopString = Type.String({ minLength: 1 });

export const GenerateBody = Type.Object(
  {
    prompt: Type.Optional(
      Type.String({ minLength: 1, description: 'One user message. Exactly one of prompt and messages.' }),
    ),
    messages: Type.Optional(
      Type.Array(message, {
        minItems: 1,
        description: 'A conversation. Exactly one of prompt and messages.',
      }),
    ),
    system: Type.Optional(
      Type.String({ description: 'System message in front of the prompt; not with messages or raw.' }),
    ),
    raw: Type.Optional(
      Type.Boolean({
        description: 'The prompt goes to the model as it is: no chat template, special tokens are parsed.',
      }),
    ),
    model: Type.Optional(
      Type.String({ minLength: 1, description: 'A configured model; default: default_model.' }),
    ),
    max_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Completion tokens at most; cut to what the context leaves beside a long prompt.',
      }),
    ),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    top_k: Type.Optional(Type.Integer({ minimum: 0, description: '0 switches it off.' })),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    repeat_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 2 })),
    stop: Type.Optional(
      Type.Union([stopString, Type.Array(stopString, { maxItems: 4 })], {
        description: 'Generation ends before any of these; never part of the answer.',
      }),
    ),
    think: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum(['low', 'medium', 'high'])], {
        description: 'For models that can think; off by default where the model can switch it off.',
      }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Shortens the server’s time limit, never lengthens it.' }),
    ),
    priority: Type.Optional(
      Type.Enum([...PRIORITIES], {
        description:
          'Default: normal. A wish for more than this client may have is lowered, and a header says so.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type GenerateBody = Static<typeof GenerateBody>;

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

export const GenerateAnswer = Type.Object({
  id: Type.String(),
  model: Type.String(),
  text: Type.String(),
  reasoning: Type.Optional(Type.String()),
  finish_reason: Type.Enum(['stop', 'length']),
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

/** The `data:` of one event of a stream. */
export const StreamEvent = Type.Union([
  Type.Object({ token: Type.String({ minLength: 1 }) }),
  Type.Object({ reasoning: Type.String({ minLength: 1 }) }),
  Type.Object({
    queue: Type.Object({ position: Type.Integer({ minimum: 0 }), eta_ms: Type.Integer({ minimum: 0 }) }),
  }),
  Type.Omit(GenerateAnswer, ['text', 'reasoning']),
  ErrorAnswer,
]);
