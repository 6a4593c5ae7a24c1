/** What /api/chat and /api/generate answer: the whole body, and the lines of a stream. For OpenAPI; tests hold every answer to it. */
import { type TProperties, type TSchema, Type } from 'typebox';
import { OllamaError } from './errors.ts';
import { metrics } from './timings.ts';

const likelyToken = {
  token: Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' }),
  logprob: Type.Number({
    maximum: 0,
    description: 'Natural logarithm; -9999 stands for anything less likely.',
  }),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
};

const Logprobs = Type.Array(
  Type.Object({
    ...likelyToken,
    top_logprobs: Type.Optional(
      Type.Array(Type.Object(likelyToken), { description: 'Likeliest first; with top_logprobs.' }),
    ),
  }),
  { description: 'One for each token of the text, when asked for with logprobs.' },
);

const ToolCall = Type.Object({
  id: Type.String(),
  function: Type.Object({
    index: Type.Integer({ minimum: 0, description: 'Which call of this answer, from 0.' }),
    name: Type.String(),
    arguments: Type.Object({}, { additionalProperties: true }),
  }),
});

const head = {
  model: Type.String({ description: 'As the request names it, or the default model’s id.' }),
  created_at: Type.String({ format: 'date-time' }),
};
const thinking = Type.Optional(Type.String());
const logprobs = Type.Optional(Logprobs);

const message = Type.Object({
  role: Type.Literal('assistant'),
  content: Type.String(),
  thinking,
  tool_calls: Type.Optional(
    Type.Array(ToolCall, { minItems: 1, description: 'Whole calls only: one that was cut off is not sent.' }),
  ),
});

const doneReason = Type.Enum(['stop', 'length', 'content_filter'], {
  description: 'content_filter: the backend would not go on.',
});

function answers(content: TProperties): Readonly<Record<string, TSchema>> {
  const piece = Type.Object({ ...head, ...content, done: Type.Literal(false), logprobs });
  const last = Type.Object({
    ...head,
    ...content,
    done: Type.Literal(true),
    done_reason: doneReason,
    ...metrics,
  });
  const whole = Type.Object({ ...last.properties, logprobs });
  const load = Type.Object({
    ...head,
    ...content,
    done: Type.Literal(true),
    done_reason: Type.Enum(['load', 'unload'], {
      description:
        'Nothing was asked of the model. unload: keep_alive is 0; the model stays in memory nevertheless, for others.',
    }),
  });
  return {
    'application/x-ndjson': Type.Union([piece, last, OllamaError]),
    'application/json': Type.Union([whole, load]),
  };
}

export const CHAT_ANSWERS = answers({ message });
export const GENERATE_ANSWERS = answers({ response: Type.String(), thinking });
