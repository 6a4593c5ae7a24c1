/** What a whole message and a streamed one have in common. */
import type { FinishReason, GenerationRequest } from '../../core/generation.ts';
import type { Usage } from '../../core/usage.ts';

/** What the request says of how its answer is shown. */
export interface AnswerSettings {
  /** A block of thoughts has nothing in it. */
  readonly hidesThoughts: boolean;
}

export function messageHead({ id, model }: GenerationRequest) {
  return { id: id.replace(/^gen_/, 'msg_'), type: 'message', role: 'assistant', model } as const;
}

const STOP_REASONS = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
} as const satisfies Record<FinishReason, string>;

export function renderStop(reason: FinishReason, matchedStop: string | undefined) {
  if (reason === 'stop' && matchedStop !== undefined)
    return { stop_reason: 'stop_sequence', stop_sequence: matchedStop } as const;
  return { stop_reason: STOP_REASONS[reason], stop_sequence: null };
}

/** As the end of a stream tells it. */
export function renderUsage({ promptTokens, completionTokens, cachedTokens, reasoningTokens = 0 }: Usage) {
  return {
    input_tokens: Math.max(0, promptTokens - cachedTokens),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  } as const;
}

/** As a message tells it. */
export function renderMessageUsage(usage: Usage) {
  return Object.assign(renderUsage(usage), {
    cache_creation: null,
    inference_geo: null,
    service_tier: 'standard',
    speed: null,
  } as const);
}
