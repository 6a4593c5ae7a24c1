/** An answer as it arrives: chunks of a chat completion, folded into one value. Pure. */
import type { ServerEvent } from '../api/event-parser.ts';
import { type ApiFailure, failureOf } from '../api/failure.ts';
import type { ToolCall } from './conversation.ts';
import { type Receipt, receiptOfChunk } from './receipt.ts';
import { isObject } from './settings.ts';

export interface Answer {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string | undefined;
  readonly receipt: Receipt;
  /** `[DONE]` has come: nothing is missing. */
  readonly isComplete: boolean;
  /** The server ended the stream with an error. */
  readonly failure: ApiFailure | undefined;
}

export const NO_ANSWER: Answer = {
  text: '',
  reasoning: '',
  toolCalls: [],
  finishReason: undefined,
  receipt: {},
  isComplete: false,
  failure: undefined,
};

export function withEvents(answer: Answer, events: readonly ServerEvent[]): Answer {
  return events.reduce(withEvent, answer);
}

function withEvent(answer: Answer, { data }: ServerEvent): Answer {
  if (data === '[DONE]') return { ...answer, isComplete: true };
  const chunk = parsed(data);
  if (chunk === undefined) return answer;
  if (chunk.error !== undefined) return { ...answer, failure: failureOf(Number(chunk.status ?? 502), chunk) };
  const receipt =
    chunk.usage || chunk.timings
      ? { ...answer.receipt, ...receiptOfChunk(chunk.usage, chunk.timings) }
      : answer.receipt;
  const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
  if (!isObject(choice)) return { ...answer, receipt };
  const delta = isObject(choice.delta) ? choice.delta : {};
  return {
    ...answer,
    receipt,
    text: answer.text + textOf(delta.content),
    reasoning: answer.reasoning + textOf(delta.reasoning_content ?? delta.reasoning),
    toolCalls: withCalls(answer.toolCalls, delta.tool_calls),
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : answer.finishReason,
  };
}

/** A call comes in pieces, which its index tells apart. */
function withCalls(calls: readonly ToolCall[], deltas: unknown): readonly ToolCall[] {
  if (!Array.isArray(deltas) || deltas.length === 0) return calls;
  const merged = [...calls];
  for (const delta of deltas as readonly unknown[]) {
    if (!isObject(delta)) continue;
    const at = typeof delta.index === 'number' ? delta.index : merged.length;
    if (at > MAX_CALLS) continue;
    const piece = isObject(delta.function) ? delta.function : {};
    const known = merged[at] ?? { id: '', name: '', arguments: '' };
    merged[at] = {
      id: textOf(delta.id) || known.id || `call_${at}`,
      name: known.name + textOf(piece.name),
      arguments: known.arguments + textOf(piece.arguments),
    };
  }
  return merged.filter((call) => call !== undefined);
}

const MAX_CALLS = 127;

function parsed(data: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
