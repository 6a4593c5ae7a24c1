/** What Ollama's routes answer: the schemas of their answers for OpenAPI (tests hold every answer to them), errors and metrics. */
import { type TProperties, type TSchema, Type } from 'typebox';
import type { Milliseconds } from '../../core/clock.ts';
import type { ServingError } from '../../core/errors.ts';
import type { Usage } from '../../core/generation.ts';
import type { AnswerContext, ErrorShape } from '../protocol.ts';

/** An error is a text and nothing else. */
export const OllamaError = Type.Object({ error: Type.String() });

export const ollamaErrors: ErrorShape = {
  schema: OllamaError,
  render: (error) => ({ status: error.spec.status, body: { error: error.message } }),
};

/** The last line of a stream that fails: none with `done: true`, and no "success", follows it. */
export function errorLine({ message }: ServingError): string {
  return `${JSON.stringify({ error: message })}\n`;
}

const NANOSECONDS = 1_000_000;

const nanoseconds = (description: string) => Type.Integer({ minimum: 0, description });

export const metrics = {
  total_duration: nanoseconds('From the arrival of the request to the end of the answer; nanoseconds.'),
  prompt_eval_count: Type.Integer({ minimum: 0, description: 'Tokens of the prompt.' }),
  prompt_eval_duration: nanoseconds(
    'From the slot to the first token; 0 where the answer came in one piece.',
  ),
  eval_count: Type.Integer({ minimum: 0, description: 'Tokens of the answer.' }),
  eval_duration: nanoseconds(
    'From the first token to the end; where the answer came in one piece, from the slot.',
  ),
};

/** RFC 3339. */
export function timeOf(sinceEpoch: Milliseconds): string {
  return new Date(sinceEpoch).toISOString();
}

export function nanosecondsOf(milliseconds: Milliseconds): number {
  return Math.round(Math.max(0, milliseconds) * NANOSECONDS);
}

/**
 * `load_duration` is omitted: no request loads a model here. The wait in the queue, tries that failed and our own work are in
 * `total_duration` alone, so that tokens per second, which clients compute from the others, are those of the model.
 */
export function metricsOf({ promptTokens, completionTokens }: Usage, { timings }: AnswerContext) {
  const { upstreamMs, ttftMs, generateMs, totalMs } = timings();
  return {
    total_duration: nanosecondsOf(totalMs),
    prompt_eval_count: promptTokens,
    // The first token of a whole answer is not known, so the time of its prompt counts as the answer's.
    prompt_eval_duration: nanosecondsOf(ttftMs ?? 0),
    eval_count: completionTokens,
    eval_duration: nanosecondsOf(generateMs ?? upstreamMs),
  };
}

/** How the answers of /api/chat and /api/generate differ: in what stands around the text, and in the order of keys. */
export interface AnswerFormat {
  /** Of a line: between its head and its text, and between that (with reasoning and calls) and `done`. */
  readonly opens: string;
  readonly closes: string;
  content(parts: AnswerParts): object;
  /** `done_reason`, the metrics and the log-probabilities, in the order of this route. */
  end(reason: object, metrics: object, logprobs: object): object;
}

export interface RenderedCall {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

interface AnswerParts {
  readonly text: string;
  readonly thinking?: string;
  readonly calls?: readonly RenderedCall[];
}

export const CHAT_FORMAT: AnswerFormat = {
  opens: '"message":{"role":"assistant","content":',
  closes: '}',
  content: ({ text, thinking = '', calls = [] }) => ({
    message: {
      role: 'assistant',
      content: text,
      ...(thinking !== '' && { thinking }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  }),
  end: (reason, metrics, logprobs) => Object.assign({}, reason, logprobs, metrics),
};

/** It has no tools, so no calls. `context`, the tokens of the conversation, is omitted: no later request could use it here. */
export const GENERATE_FORMAT: AnswerFormat = {
  opens: '"response":',
  closes: '',
  content: ({ text, thinking = '' }) => ({ response: text, ...(thinking !== '' && { thinking }) }),
  end: (reason, metrics, logprobs) => Object.assign({}, reason, metrics, logprobs),
};

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
  { description: 'One for each token of the text, with logprobs.' },
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
  description: 'content_filter: the backend stopped the answer.',
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
        'There was no prompt. unload: keep_alive is 0; the model stays in memory nevertheless, for other clients.',
    }),
  });
  return {
    'application/x-ndjson': Type.Union([piece, last, OllamaError]),
    'application/json': Type.Union([whole, load]),
  };
}

export const CHAT_ANSWERS = answers({ message });
export const GENERATE_ANSWERS = answers({ response: Type.String(), thinking });
