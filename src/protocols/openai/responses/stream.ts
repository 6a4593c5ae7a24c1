/**
 * A streamed response. One that succeeds ends with `response.completed` or `response.incomplete`; one that fails ends with
 * `response.failed` and an `error` event: readers of the events find the first, and the official clients throw at the second,
 * which has what went wrong both as it is documented (in the event) and where they look (in `error`).
 */
import type { ServingError } from '../../../core/errors.ts';
import type {
  FinishReason,
  GenerationEvent,
  RequestId,
  TokenLogprob,
  Usage,
} from '../../../core/generation.ts';
import { wireTimings } from '../../../core/request-trace.ts';
import type { AnswerContext, StreamEncoder } from '../../protocol.ts';
import { SSE, SSE_HEARTBEAT, sseEvent } from '../../rendering.ts';
import { openAiError } from '../errors.ts';
import type { LogprobsBody, OutputItemBody, ResponseBody } from './answer-schema.ts';
import { CustomInputReader } from './custom-input.ts';
import {
  customCallItem,
  endOf,
  functionCallItem,
  type ItemStatus,
  itemId,
  messageItem,
  outputText,
  type ResponseContext,
  type ResponseState,
  reasoningItem,
  renderLogprobs,
  responseBody,
} from './render.ts';
import { originOf, type ToolOrigin } from './tools.ts';

export function responseStream(response: ResponseContext, answer: AnswerContext): StreamEncoder {
  const events = new EventWriter();
  const output = new OutputEncoder(events, response);
  let finish: { readonly reason: FinishReason; readonly usage: Usage } | undefined;
  let hasBegun = false;

  const responseEvent = (type: string, state: ResponseState, more: object = {}) =>
    events.write(`response.${type}`, { response: responseBody(response.echo, state, answer), ...more });
  /** What every stream begins with, written with the first event: the stream commits with that. */
  const begin = () => {
    if (hasBegun) return '';
    hasBegun = true;
    const state: ResponseState = { status: 'in_progress', output: [] };
    return responseEvent('created', state) + responseEvent('in_progress', state);
  };

  return {
    contentType: SSE,
    encode: (event) => {
      switch (event.type) {
        case 'start':
          return undefined;
        case 'finish':
          finish = event;
          return begin() + output.close(endOf(event.reason).status);
        default:
          return begin() + output.add(event) || undefined;
      }
    },
    end: () => {
      if (finish === undefined) throw new Error('a stream without a finish is no success');
      const end = endOf(finish.reason);
      const state = { ...end, output: output.items(end.status), usage: finish.usage };
      return responseEvent(end.status, state, { timings: wireTimings(answer.timings()) });
    },
    error: (error) => {
      const { message, code, param, type } = openAiError(error).error;
      const failed: ResponseState = {
        status: 'failed',
        output: output.items('incomplete'),
        error: failureOf(error),
      };
      return (
        begin() +
        responseEvent('failed', failed) +
        events.write('error', { code, message, param, error: { message, type, param, code } })
      );
    },
    heartbeat: () => SSE_HEARTBEAT,
  };
}

/**
 * The codes that a failed response may have, and one that the API does not list but sends: by it, and by it alone, Codex CLI sees that
 * its history has to be made shorter.
 */
function failureOf({ code, message, spec: { status } }: ServingError): NonNullable<ResponseBody['error']> {
  if (code === 'context_length_exceeded') return { code, message };
  if (status === 429) return { code: 'rate_limit_exceeded', message };
  return { code: status < 500 ? 'invalid_prompt' : 'server_error', message };
}

/** Writes the events of one stream, each with its type, also as its `event:` line, and with its number. Owns the count. */
class EventWriter {
  #next = 0;

  write(type: string, fields: object): string {
    return sseEvent({ type, ...fields, sequence_number: this.#number() }, type);
  }

  /** For what comes with every token: nothing but the text is turned into JSON each time. `more`: fields after it, as JSON. */
  deltas(type: string, fields: object): (delta: string, more?: string) => string {
    const head = `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},"delta":`;
    return (delta, more = '') =>
      `${head}${JSON.stringify(delta)}${more},"sequence_number":${this.#number()}}\n\n`;
  }

  #number(): number {
    const number = this.#next;
    this.#next += 1;
    return number;
  }
}

type OutputEvent = Exclude<GenerationEvent, { readonly type: 'start' | 'finish' }>;

interface Entry {
  readonly item: StreamedItem;
  closedAs: ItemStatus | undefined;
}

/**
 * The output of a streamed response, item by item. Owned by one stream. Invariant: an item keeps its place, opens once and
 * closes once: text and reasoning when something else begins, calls with the answer, since the pieces of several may come
 * in turns.
 */
class OutputEncoder {
  readonly #events: EventWriter;
  readonly #response: ResponseContext;
  readonly #entries: Entry[] = [];
  readonly #calls: StreamedItem[] = [];
  /** At most one of these two is open, and it is the last item. */
  #message: StreamedItem | undefined;
  #reasoning: StreamedItem | undefined;
  #hasAnswer = false;

  constructor(events: EventWriter, response: ResponseContext) {
    this.#events = events;
    this.#response = response;
  }

  /** What is to be written. */
  add(event: OutputEvent): string {
    switch (event.type) {
      case 'text': {
        if (this.#message !== undefined) return this.#message.add(event.text, event.logprobs);
        const { opening, message } = this.#openMessage();
        return opening + message.add(event.text, event.logprobs);
      }
      case 'reasoning': {
        if (this.#reasoning !== undefined) return this.#reasoning.add(event.text);
        const closing = this.#closeText();
        this.#reasoning = streamedReasoning(this.#place(), this.#response.showsSummary);
        return closing + this.#open(this.#reasoning) + this.#reasoning.add(event.text);
      }
      case 'tool-call': {
        const closing = this.#closeText();
        this.#hasAnswer = true;
        const origin = originOf(this.#response.tools, event.name);
        const streamed = origin.kind === 'function' ? streamedFunctionCall : streamedCustomCall;
        const call = streamed(this.#place(), event.id, origin);
        this.#calls[event.index] = call;
        return closing + this.#open(call);
      }
      case 'tool-arguments':
        return event.delta === '' ? '' : (this.#calls[event.index]?.add(event.delta) ?? '');
      default:
        throw event satisfies never;
    }
  }

  /** All that is open ends; what comes last, with that status. */
  close(statusOfLast: ItemStatus): string {
    const opening = this.#hasAnswer ? '' : this.#openMessage().opening;
    const last = this.#entries.at(-1);
    const closings = this.#entries.map((entry) =>
      this.#close(entry, entry === last ? statusOfLast : 'completed'),
    );
    return opening + closings.join('');
  }

  /** What has come so far. */
  items(statusOfOpen: ItemStatus): OutputItemBody[] {
    return this.#entries.map(({ item, closedAs }) => item.body(closedAs ?? statusOfOpen));
  }

  #openMessage(): { readonly opening: string; readonly message: StreamedItem } {
    const closing = this.#closeText();
    const message = streamedMessage(this.#place());
    this.#hasAnswer = true;
    this.#message = message;
    return { opening: closing + this.#open(message), message };
  }

  #place(): ItemPlace {
    return { events: this.#events, request: this.#response.request.id, index: this.#entries.length };
  }

  #open(item: StreamedItem): string {
    this.#entries.push({ item, closedAs: undefined });
    return item.opening;
  }

  #close(entry: Entry, status: ItemStatus): string {
    if (entry.closedAs !== undefined) return '';
    entry.closedAs = status;
    return entry.item.close(status);
  }

  #closeText(): string {
    const open = this.#message ?? this.#reasoning;
    this.#message = undefined;
    this.#reasoning = undefined;
    const last = this.#entries.at(-1);
    return open === undefined || last === undefined ? '' : this.#close(last, 'completed');
  }
}

/** An item while it grows: it writes its own events, from `added` to `done`. */
interface StreamedItem {
  /** The events that it begins with. */
  readonly opening: string;
  add(text: string, logprobs?: readonly TokenLogprob[]): string;
  /** The events that it ends with. */
  close(status: ItemStatus): string;
  /** As it is now. */
  body(status: ItemStatus): OutputItemBody;
}

interface ItemPlace {
  readonly events: EventWriter;
  readonly request: RequestId;
  /** Among the items of the output. */
  readonly index: number;
}

function streamedMessage({ events, request, index: output_index }: ItemPlace): StreamedItem {
  const item_id = itemId('msg', request, output_index);
  const place = { item_id, output_index, content_index: 0 };
  const delta = events.deltas('response.output_text.delta', place);
  let text = '';
  const logprobs: LogprobsBody = [];
  const body = (status: ItemStatus) => messageItem(item_id, status, [outputText(text, logprobs)]);
  return {
    opening:
      events.write('response.output_item.added', {
        output_index,
        item: messageItem(item_id, 'in_progress', []),
      }) + events.write('response.content_part.added', { ...place, part: outputText('', []) }),
    add: (piece, ofPiece) => {
      text += piece;
      if (ofPiece === undefined) return delta(piece, ',"logprobs":[]');
      const rendered = renderLogprobs(ofPiece);
      logprobs.push(...rendered);
      return delta(piece, `,"logprobs":${JSON.stringify(rendered)}`);
    },
    close: (status) =>
      events.write('response.output_text.done', { ...place, text, logprobs }) +
      events.write('response.content_part.done', { ...place, part: outputText(text, logprobs) }) +
      events.write('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}

/** The names of its events, and where its text stands. */
const REASONING_CONTENT = {
  index: 'content_index',
  part: 'response.content_part',
  text: 'response.reasoning_text',
  type: 'reasoning_text',
} as const;

const REASONING_SUMMARY = {
  index: 'summary_index',
  part: 'response.reasoning_summary_part',
  text: 'response.reasoning_summary_text',
  type: 'summary_text',
} as const;

function streamedReasoning(
  { events, request, index: output_index }: ItemPlace,
  showsSummary: boolean,
): StreamedItem {
  const names = showsSummary ? REASONING_SUMMARY : REASONING_CONTENT;
  const item_id = itemId('rs', request, output_index);
  const place = { item_id, output_index, [names.index]: 0 };
  const delta = events.deltas(`${names.text}.delta`, place);
  let text = '';
  const body = () => reasoningItem(item_id, text, showsSummary);
  return {
    opening:
      events.write('response.output_item.added', {
        output_index,
        item: reasoningItem(item_id, undefined, showsSummary),
      }) + events.write(`${names.part}.added`, { ...place, part: { type: names.type, text: '' } }),
    add: (piece) => {
      text += piece;
      return delta(piece);
    },
    close: () =>
      events.write(`${names.text}.done`, { ...place, text }) +
      events.write(`${names.part}.done`, { ...place, part: { type: names.type, text } }) +
      events.write('response.output_item.done', { output_index, item: body() }),
    body,
  };
}

function streamedFunctionCall(
  { events, request, index: output_index }: ItemPlace,
  id: string,
  origin: ToolOrigin,
): StreamedItem {
  const item_id = itemId('fc', request, output_index);
  const place = { item_id, output_index };
  const delta = events.deltas('response.function_call_arguments.delta', place);
  let text = '';
  const body = (status: ItemStatus) => functionCallItem(item_id, status, { id, arguments: text }, origin);
  return {
    opening: events.write('response.output_item.added', { output_index, item: body('in_progress') }),
    add: (piece) => {
      text += piece;
      return delta(piece);
    },
    close: (status) =>
      events.write('response.function_call_arguments.done', {
        ...place,
        name: origin.name,
        arguments: text,
      }) + events.write('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}

/** The text that a custom tool takes is read out of the arguments as they come. */
function streamedCustomCall(
  { events, request, index: output_index }: ItemPlace,
  id: string,
  origin: ToolOrigin,
): StreamedItem {
  const item_id = itemId('ctc', request, output_index);
  const place = { item_id, output_index };
  const delta = events.deltas('response.custom_tool_call_input.delta', place);
  const input = new CustomInputReader();
  const write = (piece: string) => (piece === '' ? '' : delta(piece));
  const body = (status: ItemStatus) => customCallItem(item_id, status, { id, input: input.text }, origin);
  return {
    opening: events.write('response.output_item.added', { output_index, item: body('in_progress') }),
    add: (piece) => write(input.add(piece)),
    close: (status) =>
      write(input.end()) +
      events.write('response.custom_tool_call_input.done', { ...place, input: input.text }) +
      events.write('response.output_item.done', { output_index, item: body(status) }),
    body,
  };
}
