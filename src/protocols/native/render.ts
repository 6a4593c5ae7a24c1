/** Native answers: the whole body, the events of a stream, the error object. */
import type { GenerationEvent, GenerationRequest } from '../../core/generation.ts';
import type { GenerationResult } from '../../core/generation-result.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerContext, AnswerRenderer } from '../generation-route.ts';
import type { ErrorShape } from '../protocol.ts';
import { eventLines, SSE, SSE_HEARTBEAT } from '../server-sent-events.ts';
import { ErrorAnswer } from './answer-schema.ts';
import { renderLogprobs } from './render-logprobs.ts';
import { renderToolCall } from './render-tool-calls.ts';

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
      error: (error, requestId) => eventLines(nativeErrors.render(error, requestId).body),
      heartbeat: () => SSE_HEARTBEAT,
      place: ({ position, etaMs }) => eventLines({ queue: { position, eta_ms: etaMs } }),
    }),
  };
}

function renderWhole(request: GenerationRequest, result: GenerationResult, answer: AnswerContext): unknown {
  const { id, model, logprobs } = request;
  const { text, reasoning, toolCalls } = result;
  return {
    id,
    model,
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(renderToolCall) }),
    ...(logprobs === undefined ? {} : { logprobs: renderLogprobs(result.logprobs) }),
    ...renderEnd(result, answer),
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
        return eventLines({ token: event.text, logprobs: renderLogprobs(event.logprobs ?? []) });
      return `data: {"token":${JSON.stringify(event.text)}}\n\n`;
    case 'reasoning':
      return `data: {"reasoning":${JSON.stringify(event.text)}}\n\n`;
    case 'tool-call':
      return eventLines({ tool_call: { index: event.index, id: event.id, name: event.name } });
    case 'tool-arguments':
      if (event.delta === '') return undefined;
      return `data: {"tool_call":{"index":${event.index},"arguments":${JSON.stringify(event.delta)}}}\n\n`;
    case 'finish': {
      const { id, model } = request;
      const end = renderEnd({ finishReason: event.reason, usage: event.usage }, answer);
      return eventLines(Object.assign(end, { id, model }));
    }
    default:
      throw event satisfies never;
  }
}

function renderEnd(
  result: Pick<GenerationResult, 'finishReason' | 'usage'>,
  { receipt, timings }: AnswerContext,
) {
  const { queueMs, ttftMs, generateMs, totalMs } = timings();
  return {
    finish_reason: result.finishReason,
    usage: renderUsage(result.usage),
    timings: { queue_ms: queueMs, ttft_ms: ttftMs, generate_ms: generateMs, total_ms: totalMs },
    batch: receipt.batch,
  };
}

function renderUsage({ promptTokens, completionTokens, cachedTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    cached_tokens: cachedTokens,
  };
}
