/** The items of a streamed response while they grow: each writes its own events, from `added` to `done`. */
import type { RequestId, TokenLogprob } from '../../../core/generation.ts';
import { CustomInput } from './custom-input.ts';
import type { NumberedEvents } from './numbered-events.ts';
import type { ToolOrigin } from './offered-tools.ts';
import {
  callItem,
  customCallItem,
  type ItemStatus,
  itemIdOf,
  messageItem,
  type OutputItemBody,
  outputText,
  reasoningItem,
  reasoningText,
  summaryText,
} from './output-items.ts';
import { type LogprobsBody, renderLogprobs } from './render-logprobs.ts';

export interface StreamedItem {
  /** The events that it begins with. */
  readonly opening: string;
  /** The events that it ends with. */
  close(status: ItemStatus): string;
  /** As it is now. */
  body(status: ItemStatus): OutputItemBody;
}

export interface StreamedText extends StreamedItem {
  add(text: string): string;
}

export interface StreamedMessage extends StreamedItem {
  add(text: string, logprobs?: readonly TokenLogprob[]): string;
}

export interface ItemPlace {
  readonly events: NumberedEvents;
  readonly request: RequestId;
  /** Among the items of the output. */
  readonly index: number;
}

export function streamMessage({ events, request, index: output_index }: ItemPlace): StreamedMessage {
  const item_id = itemIdOf('msg', request, output_index);
  const place = { item_id, output_index, content_index: 0 };
  const delta = events.deltas('response.output_text.delta', place);
  let text = '';
  const logprobs: LogprobsBody = [];
  const body = (status: ItemStatus) => messageItem(item_id, status, [outputText(text, logprobs)]);
  return {
    opening:
      events.event('response.output_item.added', {
        output_index,
        item: messageItem(item_id, 'in_progress', []),
      }) + events.event('response.content_part.added', { ...place, part: outputText('', []) }),
    add: (piece, ofPiece) => {
      text += piece;
      if (ofPiece === undefined) return delta(piece, ',"logprobs":[]');
      const rendered = renderLogprobs(ofPiece);
      logprobs.push(...rendered);
      return delta(piece, `,"logprobs":${JSON.stringify(rendered)}`);
    },
    close: (status) =>
      events.event('response.output_text.done', { ...place, text, logprobs }) +
      events.event('response.content_part.done', { ...place, part: outputText(text, logprobs) }) +
      events.event('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}

export function streamReasoning({ events, request, index: output_index }: ItemPlace): StreamedText {
  const item_id = itemIdOf('rs', request, output_index);
  const place = { item_id, output_index, content_index: 0 };
  const delta = events.deltas('response.reasoning_text.delta', place);
  let text = '';
  const body = () => reasoningItem(item_id, text, NO_SUMMARY);
  return {
    opening:
      events.event('response.output_item.added', {
        output_index,
        item: reasoningItem(item_id, undefined, NO_SUMMARY),
      }) + events.event('response.content_part.added', { ...place, part: reasoningText('') }),
    add: (piece) => {
      text += piece;
      return delta(piece);
    },
    close: () =>
      events.event('response.reasoning_text.done', { ...place, text }) +
      events.event('response.content_part.done', { ...place, part: reasoningText(text) }) +
      events.event('response.output_item.done', { output_index, item: body() }),
    body,
  };
}

const NO_SUMMARY = { summarises: false };
const SUMMARY = { summarises: true };

/** The same thoughts, told as their summary. */
export function streamSummary({ events, request, index: output_index }: ItemPlace): StreamedText {
  const item_id = itemIdOf('rs', request, output_index);
  const place = { item_id, output_index, summary_index: 0 };
  const delta = events.deltas('response.reasoning_summary_text.delta', place);
  let text = '';
  const body = () => reasoningItem(item_id, text, SUMMARY);
  return {
    opening:
      events.event('response.output_item.added', {
        output_index,
        item: reasoningItem(item_id, undefined, SUMMARY),
      }) + events.event('response.reasoning_summary_part.added', { ...place, part: summaryText('') }),
    add: (piece) => {
      text += piece;
      return delta(piece);
    },
    close: () =>
      events.event('response.reasoning_summary_text.done', { ...place, text }) +
      events.event('response.reasoning_summary_part.done', { ...place, part: summaryText(text) }) +
      events.event('response.output_item.done', { output_index, item: body() }),
    body,
  };
}

export function streamCall(
  { events, request, index: output_index }: ItemPlace,
  id: string,
  origin: ToolOrigin,
): StreamedText {
  const item_id = itemIdOf('fc', request, output_index);
  const place = { item_id, output_index };
  const delta = events.deltas('response.function_call_arguments.delta', place);
  let text = '';
  const body = (status: ItemStatus) => callItem(item_id, status, { id, arguments: text }, origin);
  return {
    opening: events.event('response.output_item.added', { output_index, item: body('in_progress') }),
    add: (piece) => {
      text += piece;
      return delta(piece);
    },
    close: (status) =>
      events.event('response.function_call_arguments.done', {
        ...place,
        name: origin.name,
        arguments: text,
      }) + events.event('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}

/** The text that a custom tool takes is read out of the arguments as they come. */
export function streamCustomCall(
  { events, request, index: output_index }: ItemPlace,
  id: string,
  origin: ToolOrigin,
): StreamedText {
  const item_id = itemIdOf('ctc', request, output_index);
  const place = { item_id, output_index };
  const delta = events.deltas('response.custom_tool_call_input.delta', place);
  const input = new CustomInput();
  const say = (piece: string) => (piece === '' ? '' : delta(piece));
  const body = (status: ItemStatus) => customCallItem(item_id, status, { id, input: input.text }, origin);
  return {
    opening: events.event('response.output_item.added', { output_index, item: body('in_progress') }),
    add: (piece) => say(input.add(piece)),
    close: (status) =>
      say(input.end()) +
      events.event('response.custom_tool_call_input.done', { ...place, input: input.text }) +
      events.event('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}
