/** The items of a response's output: reasoning, message, calls of functions and of custom tools. */
import type { Static } from 'typebox';
import type { RequestId, ToolCall } from '../../../core/generation.ts';
import type { GenerationResult } from '../../../core/generation-result.ts';
import type { OutputItem, OutputText, ReasoningText, SummaryText } from './answer-schema.ts';
import type { AnsweredAs } from './answered-as.ts';
import { customInputOf } from './custom-input.ts';
import { originOf, type ToolOrigin } from './offered-tools.ts';
import { type LogprobsBody, renderLogprobs } from './render-logprobs.ts';

export type OutputItemBody = Static<typeof OutputItem>;
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';
type Incomplete = { readonly reason: 'max_output_tokens' | 'content_filter' };

/** `gen_` and 24 digits → `resp_` and the same. */
export function idOf(prefix: string, request: RequestId): string {
  return `${prefix}_${digitsOf(request)}`;
}

export type ItemPrefix = 'rs' | 'msg' | 'fc' | 'ctc';

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
  { summarises }: Pick<AnsweredAs, 'summarises'>,
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
  answered: AnsweredAs,
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
