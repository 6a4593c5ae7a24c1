/** The response object: what it repeats of its request, made once, and what changes while it is answered. */
import type { Static } from 'typebox';
import type { GenerationRequest } from '../../../core/generation.ts';
import type { Usage } from '../../../core/usage.ts';
import type { AnswerContext } from '../../generation-route.ts';
import type { ResponseObject } from './answer-schema.ts';
import type { TextFormatBody } from './output-format.ts';
import { idOf } from './output-items.ts';
import type { ResponsesFields } from './request-schema.ts';
import type { ToolChoiceBody, ToolEcho } from './tool-schema.ts';

export type ResponseBody = Static<typeof ResponseObject>;

type Changing =
  | 'created_at'
  | 'completed_at'
  | 'status'
  | 'error'
  | 'incomplete_details'
  | 'output'
  | 'usage';
export type ResponseFrame = Omit<ResponseBody, Changing>;

export interface FrameOf {
  readonly request: GenerationRequest;
  readonly body: ResponsesFields;
  readonly tools: readonly ToolEcho[];
  readonly toolChoice: ToolChoiceBody;
  readonly format: TextFormatBody;
  readonly reasoning: ResponseBody['reasoning'];
}

export function frameOf({ request, body, tools, toolChoice, format, reasoning }: FrameOf): ResponseFrame {
  return {
    id: idOf('resp', request.id),
    object: 'response',
    background: false,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    model: request.model,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning,
    safety_identifier: body.safety_identifier ?? null,
    service_tier: 'default',
    store: false,
    temperature: body.temperature ?? 1,
    text: { format },
    tool_choice: toolChoice,
    tools: [...tools],
    top_logprobs: request.logprobs?.top ?? 0,
    top_p: body.top_p ?? 1,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    truncation: 'disabled',
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  };
}

export type ResponseState = Pick<ResponseBody, 'status' | 'output'> &
  Partial<Pick<ResponseBody, 'error' | 'incomplete_details'>> & { readonly usage?: Usage };

export function responseBody(
  frame: ResponseFrame,
  { status, output, error = null, incomplete_details = null, usage }: ResponseState,
  { createdAt, timings }: AnswerContext,
): ResponseBody {
  const completedAt = status === 'completed' ? seconds(createdAt + timings().totalMs) : null;
  const { id, object, ...repeated } = frame;
  return {
    id,
    object,
    created_at: seconds(createdAt),
    completed_at: completedAt,
    status,
    error,
    incomplete_details,
    ...repeated,
    output,
    usage: usage === undefined ? null : usageOf(usage),
  };
}

function usageOf({ promptTokens, completionTokens, cachedTokens, reasoningTokens = 0 }: Usage) {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 } as const,
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
