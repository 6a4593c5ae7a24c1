/** Writes the events of one stream, each with its type, also as its `event:` line, and with its number. Owns the count. */

import type { ServingError } from '../../../core/errors.ts';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  RequestId,
  TokenLogprob,
} from '../../../core/generation.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../protocol.ts';
import { SSE, SSE_HEARTBEAT, sseEvent } from '../../rendering.ts';
import { openAiError } from '../errors.ts';
import { CustomInputReader } from './custom-input.ts';
import {
  callItem,
  customCallItem,
  type ItemStatus,
  incompleteness,
  itemIdOf,
  type LogprobsBody,
  messageItem,
  type OutputItemBody,
  outputOf,
  outputText,
  type RenderOptions,
  type RequestEcho,
  type ResponseBody,
  type ResponseState,
  reasoningItem,
  reasoningText,
  renderLogprobs,
  responseBody,
  summaryText,
} from './render.ts';
import { originOf, type ToolOrigin } from './tools.ts';

interface NumberedEvents {
  event(type: string, fields: object): string;
  /** For what comes with every token: nothing but the text is turned into JSON each time. `more`: fields after it, as JSON. */
  deltas(type: string, fields: object): (delta: string, more?: string) => string;
}

function numberedEvents(): NumberedEvents {
  let next = 0;
  const number = () => {
    next += 1;
    return next - 1;
  };
  return {
    event: (type, fields) => sseEvent({ type, ...fields, sequence_number: number() }, type),
    deltas: (type, fields) => {
      const head = `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},"delta":`;
      return (delta, more = '') =>
        `${head}${JSON.stringify(delta)}${more},"sequence_number":${number()}}\n\n`;
    },
  };
}

/** The items of a streamed response while they grow: each writes its own events, from `added` to `done`. */

interface StreamedItem {
  /** The events that it begins with. */
  readonly opening: string;
  /** The events that it ends with. */
  close(status: ItemStatus): string;
  /** As it is now. */
  body(status: ItemStatus): OutputItemBody;
}

interface StreamedText extends StreamedItem {
  add(text: string): string;
}

interface StreamedMessage extends StreamedItem {
  add(text: string, logprobs?: readonly TokenLogprob[]): string;
}

interface ItemPosition {
  readonly events: NumberedEvents;
  readonly request: RequestId;
  /** Among the items of the output. */
  readonly index: number;
}

function streamMessage({ events, request, index: output_index }: ItemPosition): StreamedMessage {
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

function streamReasoning({ events, request, index: output_index }: ItemPosition): StreamedText {
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
function streamSummary({ events, request, index: output_index }: ItemPosition): StreamedText {
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

function streamCall(
  { events, request, index: output_index }: ItemPosition,
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
function streamCustomCall(
  { events, request, index: output_index }: ItemPosition,
  id: string,
  origin: ToolOrigin,
): StreamedText {
  const item_id = itemIdOf('ctc', request, output_index);
  const place = { item_id, output_index };
  const delta = events.deltas('response.custom_tool_call_input.delta', place);
  const input = new CustomInputReader();
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

/**
 * The output of a streamed response, item by item. Owned by one stream. Invariant: an item keeps its place, opens once and
 * closes once: text and reasoning when something else begins, calls with the answer, since the pieces of several may come
 * in turns.
 */

interface StreamedOutput {
  /** Both give what is to be written. */
  add(event: OutputEvent): string;
  /** All that is open ends; what comes last, with that status. */
  close(statusOfLast: ItemStatus): string;
  /** What has come so far. */
  items(statusOfOpen: ItemStatus): OutputItemBody[];
}

type OutputEvent = Exclude<GenerationEvent, { readonly type: 'start' | 'finish' }>;

interface Entry {
  readonly item: StreamedItem;
  closedAs: ItemStatus | undefined;
}

function streamedOutput(events: NumberedEvents, request: RequestId, answered: RenderOptions): StreamedOutput {
  const entries: Entry[] = [];
  const calls = new Map<number, StreamedText>();
  let message: StreamedMessage | undefined;
  let thoughts: StreamedText | undefined;
  let hasAnswer = false;

  const place = () => ({ events, request, index: entries.length });
  const open = (item: StreamedItem) => {
    entries.push({ item, closedAs: undefined });
    return item.opening;
  };
  const close = (entry: Entry | undefined, status: ItemStatus) => {
    if (entry === undefined || entry.closedAs !== undefined) return '';
    entry.closedAs = status;
    return entry.item.close(status);
  };
  /** Text and reasoning only grow while they are the last. */
  const closeText = () => {
    const closed = message === undefined && thoughts === undefined ? '' : close(entries.at(-1), 'completed');
    message = undefined;
    thoughts = undefined;
    return closed;
  };
  const openMessage = () => {
    const closed = closeText();
    hasAnswer = true;
    message = streamMessage(place());
    return { message, before: closed + open(message) };
  };

  return {
    add: (event) => {
      switch (event.type) {
        case 'text': {
          if (message !== undefined) return message.add(event.text, event.logprobs);
          const opened = openMessage();
          return opened.before + opened.message.add(event.text, event.logprobs);
        }
        case 'reasoning': {
          if (thoughts !== undefined) return thoughts.add(event.text);
          const closed = closeText();
          thoughts = answered.summarises ? streamSummary(place()) : streamReasoning(place());
          return closed + open(thoughts) + thoughts.add(event.text);
        }
        case 'tool-call': {
          const closed = closeText();
          hasAnswer = true;
          const origin = originOf(answered.tools, event.name);
          const stream = origin.kind === 'function' ? streamCall : streamCustomCall;
          const call = stream(place(), event.id, origin);
          calls.set(event.index, call);
          return closed + open(call);
        }
        case 'tool-arguments':
          return event.delta === '' ? '' : (calls.get(event.index)?.add(event.delta) ?? '');
        default:
          throw event satisfies never;
      }
    },
    close: (statusOfLast) => {
      const opened = hasAnswer ? '' : openMessage().before;
      const last = entries.at(-1);
      return (
        opened + entries.map((entry) => close(entry, entry === last ? statusOfLast : 'completed')).join('')
      );
    },
    items: (statusOfOpen) => entries.map(({ item, closedAs }) => item.body(closedAs ?? statusOfOpen)),
  };
}

/**
 * Responses, whole and as a stream. A stream that succeeds ends with `response.completed` or `response.incomplete`; one that
 * fails ends with `response.failed` and an `error` event: readers of the events find the first, and the official clients
 * throw at the second, which has what went wrong both as it is documented (in the event) and where they look (in `error`).
 */

interface Rendered {
  readonly request: GenerationRequest;
  readonly frame: RequestEcho;
  readonly answered: RenderOptions;
}

export function responsesRenderer(
  request: GenerationRequest,
  frame: RequestEcho,
  answered: RenderOptions,
): AnswerRenderer {
  const rendered = { request, frame, answered };
  return {
    whole: ([result], answer) => renderWhole(rendered, result as GenerationResult, answer),
    stream: (answer) => responseStream(rendered, answer),
  };
}

function renderWhole(
  { request, frame, answered }: Rendered,
  result: GenerationResult,
  answer: AnswerContext,
): ResponseBody {
  const output = outputOf(request.id, result, answered);
  return responseBody(frame, { ...endOf(result.finishReason), output, usage: result.usage }, answer);
}

function responseStream({ request, frame, answered }: Rendered, answer: AnswerContext): StreamEncoder {
  const events = numberedEvents();
  const output = streamedOutput(events, request.id, answered);
  let finish: Extract<GenerationEvent, { readonly type: 'finish' }> | undefined;
  let begun = false;

  const respond = (type: string, state: ResponseState) =>
    events.event(`response.${type}`, { response: responseBody(frame, state, answer) });
  /** What every stream begins with, in front of what comes first: the commit waits for that. */
  const begin = () => {
    if (begun) return '';
    begun = true;
    const state: ResponseState = { status: 'in_progress', output: [] };
    return respond('created', state) + respond('in_progress', state);
  };

  return {
    contentType: SSE,
    encode: (event) => {
      switch (event.type) {
        case 'start':
          return undefined;
        case 'finish': {
          finish = event;
          const isCut = incompleteness(event.reason) !== null;
          return begin() + output.close(isCut ? 'incomplete' : 'completed');
        }
        default:
          return begin() + output.add(event) || undefined;
      }
    },
    end: () => {
      if (finish === undefined) throw new Error('a stream without a finish is no success');
      const state = endOf(finish.reason);
      return respond(state.status, { ...state, output: output.items(state.status), usage: finish.usage });
    },
    error: (error) =>
      begin() +
      respond('failed', { status: 'failed', output: output.items('incomplete'), error: failureOf(error) }) +
      errorEvent(error),
    heartbeat: () => SSE_HEARTBEAT,
  };

  function errorEvent(error: ServingError): string {
    const { message, code, param, type } = openAiError(error).error;
    return events.event('error', { code, message, param, error: { message, type, param, code } });
  }
}

function endOf(reason: GenerationResult['finishReason']) {
  const incomplete_details = incompleteness(reason);
  return { status: incomplete_details === null ? 'completed' : 'incomplete', incomplete_details } as const;
}

/** The codes that a failed response may have; there are no finer ones for what can fail here. */
function failureOf({ message, spec: { status } }: ServingError): NonNullable<ResponseBody['error']> {
  if (status === 429) return { code: 'rate_limit_exceeded', message };
  return { code: status < 500 ? 'invalid_prompt' : 'server_error', message };
}
