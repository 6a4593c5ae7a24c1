/** Native answers: the whole body, the events of a stream and the error, each with its schema for OpenAPI. Tests hold every answer to its schema. */
import { type Static, Type } from 'typebox';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  LikelyToken,
  TokenLogprob,
  ToolCall,
  Usage,
} from '../../core/generation.ts';
import { type RequestTrace, type Timings, wireTimings } from '../../core/request-trace.ts';
import type { AnswerContext, AnswerRenderer, ErrorShape } from '../protocol.ts';
import {
  finiteLogprob,
  modelOf,
  parseJsonObject,
  SSE,
  SSE_HEARTBEAT,
  sseEvent,
  TimingsSchema,
  tokenText,
} from '../rendering.ts';

const UsageSchema = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  cached_tokens: Type.Integer(),
});

/** Both parts are always there: clients of this API have had them since its first version. */
const GenerationTimings = Type.Object(
  {
    ...TimingsSchema.properties,
    ttft_ms: Type.Number({
      description:
        'Of upstream_ms: from the slot to the first token, of the try that answered. Where the backend sent the answer in one piece, all of upstream_ms.',
    }),
    generate_ms: Type.Number({
      description:
        'Of upstream_ms: from the first token to the end, of the try that answered; 0 where the answer came in one piece.',
    }),
  },
  { description: 'Milliseconds: queue_ms + upstream_ms + gateway_ms = total_ms.' },
);

const Batch = Type.Object({ id: Type.String(), size: Type.Integer({ minimum: 1 }) });

const callHead = { id: Type.String(), name: Type.String() };

const ToolCallSchema = Type.Union([
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
  token_id: Type.Optional(Type.Integer({ minimum: 0, description: 'If the backend provides it.' })),
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
  tool_calls: Type.Optional(Type.Array(ToolCallSchema, { minItems: 1 })),
  logprobs: Type.Optional(Logprobs),
  finish_reason: Type.Enum(['stop', 'length', 'tool_calls', 'content_filter'], {
    description:
      'tool_calls: the model waits for the answers of its tools, as messages with role tool. content_filter: the backend would not go on.',
  }),
  usage: UsageSchema,
  timings: GenerationTimings,
  resumed: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        'In a stream: how often it went on at another backend, or a restarted engine, after a part of it had been sent.',
    }),
  ),
  batch: Batch,
  attempts: Type.Optional(
    Type.Integer({ minimum: 2, description: 'How often it was tried, where the first try failed.' }),
  ),
  requested_model: Type.Optional(
    Type.String({
      description: 'Where a fallback model answers, which `model` names: the one that was asked for.',
    }),
  ),
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

export const nativeErrors: ErrorShape = {
  schema: ErrorAnswer,
  render: (error, requestId) => ({
    status: error.spec.status,
    body: {
      error: { code: error.code, message: error.message, param: error.param ?? null, request_id: requestId },
    },
  }),
};

export function nativeRenderer(request: GenerationRequest): AnswerRenderer {
  return {
    whole: ([result], answer) => renderWhole(request, result as GenerationResult, answer),
    stream: (answer) => ({
      contentType: SSE,
      encode: (event) => encodeEvent(request, event, answer),
      end: () => 'data: [DONE]\n\n',
      error: (error, requestId) => sseEvent(nativeErrors.render(error, requestId).body),
      heartbeat: () => SSE_HEARTBEAT,
      queuePosition: ({ position, etaMs }) => sseEvent({ queue: { position, eta_ms: etaMs } }),
    }),
  };
}

function renderWhole(request: GenerationRequest, result: GenerationResult, answer: AnswerContext): unknown {
  const { id, logprobs } = request;
  const { text, reasoning, toolCalls } = result;
  return {
    id,
    model: modelOf(request.model, answer),
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(renderToolCall) }),
    ...(logprobs === undefined ? {} : { logprobs: renderLogprobs(result.logprobs) }),
    ...renderEnd(request, result, answer),
  };
}

function encodeEvent(
  request: GenerationRequest,
  event: GenerationEvent,
  answer: AnswerContext,
): string | undefined {
  switch (event.type) {
    case 'start':
      return undefined;
    case 'text':
      if (request.logprobs !== undefined)
        return sseEvent({ token: event.text, logprobs: renderLogprobs(event.logprobs ?? []) });
      return `data: {"token":${JSON.stringify(event.text)}}\n\n`;
    case 'reasoning':
      return `data: {"reasoning":${JSON.stringify(event.text)}}\n\n`;
    case 'tool-call':
      return sseEvent({ tool_call: { index: event.index, id: event.id, name: event.name } });
    case 'tool-arguments':
      if (event.delta === '') return undefined;
      return `data: {"tool_call":{"index":${event.index},"arguments":${JSON.stringify(event.delta)}}}\n\n`;
    case 'finish': {
      const { id } = request;
      const end = renderEnd(request, { finishReason: event.reason, usage: event.usage }, answer);
      return sseEvent(Object.assign(end, { id, model: modelOf(request.model, answer) }));
    }
    default:
      throw event satisfies never;
  }
}

function nativeTimings(timings: Timings): Static<typeof GenerationTimings> {
  const { ttftMs = timings.upstreamMs, generateMs = 0 } = timings;
  return { ...wireTimings(timings), ttft_ms: ttftMs, generate_ms: generateMs };
}

function renderEnd(
  { model }: GenerationRequest,
  result: Pick<GenerationResult, 'finishReason' | 'usage'>,
  { trace, timings }: AnswerContext,
) {
  return {
    finish_reason: result.finishReason,
    usage: renderUsage(result.usage),
    timings: nativeTimings(timings()),
    ...(trace.resumptions !== undefined && { resumed: trace.resumptions }),
    batch: trace.batch,
    ...triesOf(trace, model),
  };
}

/** Nothing where the first try succeeded. */
function triesOf({ attempts, servedModel }: RequestTrace, requested_model: string) {
  if (attempts === undefined || attempts.length < 2) return servedModel && { requested_model };
  return { attempts: attempts.length, ...(servedModel !== undefined && { requested_model }) };
}

function renderUsage({ promptTokens, completionTokens, cachedTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    cached_tokens: cachedTokens,
  };
}

/** `arguments` is always an object: a call that was cut off has `arguments_text` instead. */
function renderToolCall({ id, name, arguments: text }: ToolCall) {
  const values = parseJsonObject(text);
  return values === undefined ? { id, name, arguments_text: text } : { id, name, arguments: values };
}

function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({ ...renderToken(token), top_logprobs: token.top.map(renderToken) }));
}

function renderToken(likely: LikelyToken) {
  const { token, bytes } = likely;
  return {
    token: tokenText(likely),
    ...(token !== undefined && { token_id: token }),
    bytes,
    logprob: finiteLogprob(likely),
  };
}
