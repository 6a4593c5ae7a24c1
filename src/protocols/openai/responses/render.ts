/** The response object: what it repeats of its request, the items of its output, and what changes while it is answered. */
import type {
  FinishReason,
  GenerationRequest,
  GenerationResult,
  LikelyToken,
  RequestId,
  TokenLogprob,
  ToolCall,
  Usage,
} from '../../../core/generation.ts';
import type { AnswerContext } from '../../protocol.ts';
import { modelOf, renderToken } from '../../rendering.ts';
import type { LogprobsBody, OutputItemBody, OutputTextBody, ResponseBody } from './answer-schema.ts';
import { customInputOf } from './custom-input.ts';
import type { ResponsesBody } from './schema.ts';
import { type OfferedTools, originOf, type ToolOrigin } from './tools.ts';

/** What is known of a response before it is answered. */
export interface ResponseContext {
  readonly request: GenerationRequest;
  readonly echo: RequestEcho;
  /** Calls are shown under the client's names for them. */
  readonly tools: OfferedTools;
  /** The reasoning is shown as the summary that the request asks for, not as the content of its item. */
  readonly showsSummary: boolean;
}

/** What a response repeats of its request, made once. */
type RequestEcho = Omit<
  ResponseBody,
  'created_at' | 'completed_at' | 'status' | 'error' | 'incomplete_details' | 'output' | 'usage'
>;

export function echoOf(
  request: GenerationRequest,
  body: ResponsesBody,
  {
    tools,
    toolChoice,
    format,
    reasoning,
  }: {
    readonly tools: OfferedTools['echo'];
    readonly toolChoice: ResponseBody['tool_choice'];
    readonly format: ResponseBody['text']['format'];
    readonly reasoning: ResponseBody['reasoning'];
  },
): RequestEcho {
  return {
    id: `resp_${digitsOf(request.id)}`,
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

export function renderResponse(
  response: ResponseContext,
  result: GenerationResult,
  answer: AnswerContext,
): ResponseBody {
  const state = { ...endOf(result.finishReason), output: outputOf(response, result), usage: result.usage };
  return responseBody(response.echo, state, answer);
}

/** What changes while a response is answered. */
export type ResponseState = Pick<ResponseBody, 'status' | 'output'> &
  Partial<Pick<ResponseBody, 'error' | 'incomplete_details'>> & { readonly usage?: Usage };

export function responseBody(
  { id, object, ...repeated }: RequestEcho,
  { status, output, error = null, incomplete_details = null, usage }: ResponseState,
  answer: AnswerContext,
): ResponseBody {
  const { createdAt, timings } = answer;
  return {
    id,
    object,
    created_at: seconds(createdAt),
    completed_at: status === 'completed' ? seconds(createdAt + timings().totalMs) : null,
    status,
    error,
    incomplete_details,
    ...repeated,
    model: modelOf(repeated.model, answer),
    output,
    usage: usage === undefined ? null : renderUsage(usage),
  };
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

function renderUsage({ promptTokens, completionTokens, cachedTokens, reasoningTokens = 0 }: Usage) {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 } as const,
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

export function endOf(reason: FinishReason) {
  const incomplete_details = incompleteDetails(reason);
  return { status: incomplete_details === null ? 'completed' : 'incomplete', incomplete_details } as const;
}

function incompleteDetails(reason: FinishReason): ResponseBody['incomplete_details'] {
  if (reason === 'length') return { reason: 'max_output_tokens' };
  return reason === 'content_filter' ? { reason } : null;
}

/** There is a message even where the text is empty, unless a tool was called. What was cut off is the last item. */
function outputOf(
  { request, tools, showsSummary }: ResponseContext,
  { text, reasoning, toolCalls, logprobs, finishReason }: GenerationResult,
): OutputItemBody[] {
  const output: OutputItemBody[] = [];
  const nextId = (prefix: ItemPrefix) => itemId(prefix, request.id, output.length);
  const { status: statusOfLast } = endOf(finishReason);
  if (reasoning !== '') output.push(reasoningItem(nextId('rs'), reasoning, showsSummary));
  if (text !== '' || toolCalls.length === 0) {
    const status = toolCalls.length === 0 ? statusOfLast : 'completed';
    output.push(messageItem(nextId('msg'), status, [outputText(text, renderLogprobs(logprobs))]));
  }
  for (const [index, call] of toolCalls.entries()) {
    const status = index === toolCalls.length - 1 ? statusOfLast : 'completed';
    const origin = originOf(tools, call.name);
    output.push(
      origin.kind === 'function'
        ? functionCallItem(nextId('fc'), status, call, origin)
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

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';
type ItemPrefix = 'rs' | 'msg' | 'fc' | 'ctc';

/** The request's digits, the last four of them the item's index. */
export function itemId(prefix: ItemPrefix, request: RequestId, index: number): string {
  return `${prefix}_${digitsOf(request).slice(4)}${index.toString(16).padStart(4, '0')}`;
}

/** Of `gen_…`. */
function digitsOf(request: RequestId): string {
  return request.slice(request.indexOf('_') + 1);
}

/** `text` absent: the reasoning has not begun. */
export function reasoningItem(id: string, text: string | undefined, showsSummary: boolean): OutputItemBody {
  return {
    id,
    type: 'reasoning',
    summary: text !== undefined && showsSummary ? [{ type: 'summary_text', text }] : [],
    content: text === undefined || showsSummary ? [] : [{ type: 'reasoning_text', text }],
  };
}

export function messageItem(id: string, status: ItemStatus, content: OutputTextBody[]): OutputItemBody {
  return { id, type: 'message', status, role: 'assistant', content };
}

export function outputText(text: string, logprobs: LogprobsBody): OutputTextBody {
  return { type: 'output_text', text, annotations: [], logprobs };
}

export function functionCallItem(
  id: string,
  status: ItemStatus,
  call: Pick<ToolCall, 'id' | 'arguments'>,
  { name, namespace }: ToolOrigin,
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
  { name, namespace }: ToolOrigin,
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

export function renderLogprobs(logprobs: readonly TokenLogprob[]): LogprobsBody {
  const render = (token: LikelyToken) => ({ ...renderToken(token), bytes: [...token.bytes] });
  return logprobs.map((token) => ({ ...render(token), top_logprobs: token.top.map(render) }));
}
