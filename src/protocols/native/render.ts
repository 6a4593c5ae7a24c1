/** Native answers: the whole body, the events of a stream, the error object. */
import type { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type { GenerationResult } from '../../core/generation-result.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerContext, StreamEncoding } from '../generation-route.ts';
import { renderLogprobs } from './render-logprobs.ts';
import { renderToolCall } from './render-tool-calls.ts';

export function renderWhole(result: GenerationResult, answer: AnswerContext): unknown {
  const { id, model, logprobs } = answer.request;
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

export function renderError(error: ServingError, requestId: string): unknown {
  return {
    error: { code: error.code, message: error.message, param: error.param ?? null, request_id: requestId },
  };
}

export const nativeStream: StreamEncoding = {
  contentType: 'text/event-stream; charset=utf-8',
  encode: encodeEvent,
  end: () => 'data: [DONE]\n\n',
  error: (error, requestId) => data(renderError(error, requestId)),
  // One line, no blank one after it: clients that take a lone comment for an event would stumble.
  heartbeat: ':\n',
  place: ({ position, etaMs }) => data({ queue: { position, eta_ms: etaMs } }),
};

function encodeEvent(event: GenerationEvent, answer: AnswerContext): string | undefined {
  switch (event.type) {
    case 'start':
      return undefined;
    case 'text':
      if (answer.request.logprobs !== undefined)
        return data({ token: event.text, logprobs: renderLogprobs(event.logprobs ?? []) });
      return `data: {"token":${JSON.stringify(event.text)}}\n\n`;
    case 'reasoning':
      return `data: {"reasoning":${JSON.stringify(event.text)}}\n\n`;
    case 'tool-call':
      return data({ tool_call: { index: event.index, id: event.id, name: event.name } });
    case 'tool-arguments':
      if (event.delta === '') return undefined;
      return `data: {"tool_call":{"index":${event.index},"arguments":${JSON.stringify(event.delta)}}}\n\n`;
    case 'finish': {
      const { id, model } = answer.request;
      return data({ ...renderEnd({ finishReason: event.reason, usage: event.usage }, answer), id, model });
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

function data(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
