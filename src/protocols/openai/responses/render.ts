/** How a response is told, beside what stands in its frame. */

import type { Static } from 'typebox';
import type {
  GenerationRequest,
  GenerationResult,
  LikelyToken,
  RequestId,
  TokenLogprob,
  ToolCall,
  Usage,
} from '../../../core/generation.ts';
import type { AnswerContext } from '../../protocol.ts';
import { renderToken } from '../../rendering.ts';
import type {
  Logprobs,
  OutputItem,
  OutputText,
  ReasoningText,
  ResponseObject,
  SummaryText,
} from './answer-schema.ts';
import { customInputOf } from './custom-input.ts';
import type { JsonSchemaFormat, ResponsesFields, ToolChoiceBody, ToolEcho } from './schema.ts';
import { type OfferedTools, originOf, type ToolOrigin } from './tools.ts';

export type TextFormatBody = { readonly type: 'text' | 'json_object' } | JsonSchemaFormat;

export interface RenderOptions {
  /** Calls are told by the client's names for them. */
  readonly tools: OfferedTools;
  /** What the model thinks is told as the summary that was asked for, not as the reasoning's content. */
  readonly summarises: boolean;
}

/** Log-probabilities as responses show them. */

export type LogprobsBody = Static<typeof Logprobs>;

export function renderLogprobs(logprobs: readonly TokenLogprob[]): LogprobsBody {
  return logprobs.map((token) => ({ ...shown(token), top_logprobs: token.top.map(shown) }));
}

function shown(token: LikelyToken) {
  return { ...renderToken(token), bytes: [...token.bytes] };
}

/** The items of a response's output: reasoning, message, calls of functions and of custom tools. */

export type OutputItemBody = Static<typeof OutputItem>;
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';
type Incomplete = { readonly reason: 'max_output_tokens' | 'content_filter' };

/** `gen_` and 24 digits → `resp_` and the same. */
function idOf(prefix: string, request: RequestId): string {
  return `${prefix}_${digitsOf(request)}`;
}

type ItemPrefix = 'rs' | 'msg' | 'fc' | 'ctc';

/** Of an item: the request's digits, the last four of them the item's index. */
export function itemIdOf(prefix: ItemPrefix, request: RequestId, index: number): string {
  return `${prefix}_${digitsOf(request).slice(4)}${index.toString(16).padStart(4, '0')}`;
}

export function outputText(text: string, logprobs: LogprobsBody): Static<typeof OutputText> {
  return { type: 'output_text', text, annotations: [], logprobs };
}

export function reasoningText(text: string): Static<typeof ReasoningText> {
  return { type: 'reasoning_text', text };
}

export function summaryText(text: string): Static<typeof SummaryText> {
  return { type: 'summary_text', text };
}

/** `text` absent: nothing has been thought yet. */
export function reasoningItem(
  id: string,
  text: string | undefined,
  { summarises }: Pick<RenderOptions, 'summarises'>,
): OutputItemBody {
  return {
    id,
    type: 'reasoning',
    summary: text !== undefined && summarises ? [summaryText(text)] : [],
    content: text === undefined || summarises ? [] : [reasoningText(text)],
  };
}

export function messageItem(
  id: string,
  status: ItemStatus,
  content: readonly Static<typeof OutputText>[],
): OutputItemBody {
  return { id, type: 'message', status, role: 'assistant', content: [...content] };
}

export function callItem(
  id: string,
  status: ItemStatus,
  call: Pick<ToolCall, 'id' | 'arguments'>,
  { name, namespace }: Omit<ToolOrigin, 'kind'>,
): OutputItemBody {
  return {
    id,
    type: 'function_call',
    status,
    call_id: call.id,
    name,
    ...(namespace !== undefined && { namespace }),
    arguments: call.arguments,
  };
}

export function customCallItem(
  id: string,
  status: ItemStatus,
  call: { readonly id: string; readonly input: string },
  { name, namespace }: Omit<ToolOrigin, 'kind'>,
): OutputItemBody {
  return {
    id,
    type: 'custom_tool_call',
    status,
    call_id: call.id,
    name,
    ...(namespace !== undefined && { namespace }),
    input: call.input,
  };
}

/** Why it is not complete, if it is not. */
export function incompleteness(reason: GenerationResult['finishReason']): Incomplete | null {
  if (reason === 'length') return { reason: 'max_output_tokens' };
  return reason === 'content_filter' ? { reason } : null;
}

/** There is a message even where nothing was said, unless something was called. What was cut off is the last item. */
export function outputOf(
  request: RequestId,
  { text, reasoning, toolCalls, logprobs, finishReason }: GenerationResult,
  answered: RenderOptions,
): OutputItemBody[] {
  const output: OutputItemBody[] = [];
  const nextId = (prefix: ItemPrefix) => itemIdOf(prefix, request, output.length);
  const isCut = incompleteness(finishReason) !== null;
  if (reasoning !== '') output.push(reasoningItem(nextId('rs'), reasoning, answered));
  if (text !== '' || toolCalls.length === 0) {
    const status = isCut && toolCalls.length === 0 ? 'incomplete' : 'completed';
    output.push(messageItem(nextId('msg'), status, [outputText(text, renderLogprobs(logprobs))]));
  }
  for (const [index, call] of toolCalls.entries()) {
    const status = isCut && index === toolCalls.length - 1 ? 'incomplete' : 'completed';
    const origin = originOf(answered.tools, call.name);
    output.push(
      origin.kind === 'function'
        ? callItem(nextId('fc'), status, call, origin)
        : customCallItem(
            nextId('ctc'),
            status,
            { id: call.id, input: customInputOf(call.arguments) },
            origin,
          ),
    );
  }
  return output;
}

function digitsOf(request: RequestId): string {
  return request.slice(request.indexOf('_') + 1);
}

/** The response object: what it repeats of its request, made once, and what changes while it is answered. */

export type ResponseBody = Static<typeof ResponseObject>;

type Changing =
  | 'created_at'
  | 'completed_at'
  | 'status'
  | 'error'
  | 'incomplete_details'
  | 'output'
  | 'usage';
export type RequestEcho = Omit<ResponseBody, Changing>;

interface EchoSource {
  readonly request: GenerationRequest;
  readonly body: ResponsesFields;
  readonly tools: readonly ToolEcho[];
  readonly toolChoice: ToolChoiceBody;
  readonly format: TextFormatBody;
  readonly reasoning: ResponseBody['reasoning'];
}

export function echoOf({ request, body, tools, toolChoice, format, reasoning }: EchoSource): RequestEcho {
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
  frame: RequestEcho,
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
