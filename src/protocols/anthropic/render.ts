/** A message, whole or as a stream of events. */
import { ServingError } from '../../core/errors.ts';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  ToolCall,
} from '../../core/generation.ts';
import { wireTimings } from '../../core/request-trace.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../protocol.ts';
import { parseJsonObject, SSE, sseEvent } from '../rendering.ts';
import {
  type AnswerSettings,
  type ContentBlock,
  type MessageAnswer,
  messageHead,
  renderMessageUsage,
  renderStop,
  renderUsage,
} from './answer.ts';
import { anthropicErrors } from './errors.ts';

export function messageRenderer(request: GenerationRequest, settings: AnswerSettings): AnswerRenderer {
  return {
    whole: ([result], answer) =>
      renderWhole(request, settings, { result: result as GenerationResult, answer }),
    stream: (answer) => messageStream(request, settings, answer),
  };
}

function renderWhole(
  request: GenerationRequest,
  { hidesThinking }: AnswerSettings,
  { result, answer }: { readonly result: GenerationResult; readonly answer: AnswerContext },
): MessageAnswer {
  const { text, reasoning, toolCalls, finishReason, matchedStop, usage } = result;
  const content: ContentBlock[] = toolCalls.map(renderCall);
  if (text !== '') content.unshift({ type: 'text', text });
  if (reasoning !== '')
    content.unshift({ type: 'thinking', thinking: hidesThinking ? '' : reasoning, signature: '' });
  return Object.assign(messageHead(request, answer), { content }, renderStop(finishReason, matchedStop), {
    usage: renderMessageUsage(usage),
  });
}

/** Arguments that were cut off are no object: `arguments_text` then has all that the model wrote. */
function renderCall({ id, name, arguments: text }: ToolCall): ContentBlock {
  const input = text === '' ? {} : (parseJsonObject(text) ?? { arguments_text: text });
  return { type: 'tool_use', id, name, input };
}

const PING = sseEvent({ type: 'ping' }, 'ping');
const END = sseEvent({ type: 'message_stop' }, 'message_stop');

/** Invariant: `message_start` comes first, before the first event with content, and `message_stop` only after the model's end. */
function messageStream(
  request: GenerationRequest,
  { hidesThinking }: AnswerSettings,
  answer: AnswerContext,
): StreamEncoder {
  const blocks = new BlockEncoder();
  /** What the backend knows before it answers; the final figures come at the end. */
  let usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  let started = false;

  const begin = () => {
    started = true;
    const message = Object.assign(messageHead(request, answer), {
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: renderMessageUsage(usage),
    });
    return sseEvent({ type: 'message_start', message }, 'message_start');
  };

  const encodeEvent = (event: Exclude<GenerationEvent, { readonly type: 'start' }>): string => {
    switch (event.type) {
      case 'text':
        return blocks.piece('text', event.text);
      case 'reasoning':
        return blocks.piece('thinking', hidesThinking ? '' : event.text);
      case 'tool-call':
        return blocks.call(event.index, event);
      case 'tool-arguments':
        return blocks.arguments(event.index, event.delta);
      case 'finish': {
        const { reason, matchedStop } = event;
        const delta = renderStop(reason, matchedStop);
        const timings = wireTimings(answer.timings());
        const last = { type: 'message_delta', delta, usage: renderUsage(event.usage), timings };
        return blocks.close() + sseEvent(last, 'message_delta');
      }
      default:
        throw event satisfies never;
    }
  };

  return {
    contentType: SSE,
    encode: (event) => {
      if (event.type === 'start') {
        const { promptTokens = 0, cachedTokens = 0 } = event;
        usage = { promptTokens, completionTokens: 0, cachedTokens };
        return undefined;
      }
      const opening = started ? '' : begin();
      const events = opening + encodeEvent(event);
      return events === '' ? undefined : events;
    },
    end: () => END,
    error: (error, requestId) => sseEvent(anthropicErrors.render(error, requestId).body, 'error'),
    heartbeat: () => PING,
  };
}

interface Call {
  readonly id: string;
  readonly name: string;
  /** Its arguments so far. */
  text: string;
}

type Kind = 'text' | 'thinking';

/** The event's text before the JSON of a piece. */
const DELTAS = {
  text: '"delta":{"type":"text_delta","text":',
  thinking: '"delta":{"type":"thinking_delta","thinking":',
  arguments: '"delta":{"type":"input_json_delta","partial_json":',
} as const;

const EMPTY = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
} as const;

/**
 * The content blocks of one streamed message, as events. Owned by one answer. Invariant: one block is open at a time, and none is
 * opened again: a call that begins while another is not whole waits for it, with what has come of its arguments.
 */
class BlockEncoder {
  /** Of the open block, or of the next. */
  #index = 0;
  #open: Kind | Call | undefined;
  /** Of the open block: a delta's event up to its piece. */
  #prefix = '';
  #calls = new Map<number, Call>();
  #waiting: Call[] = [];

  /** A piece of text or of thinking; an empty one only opens the block. */
  piece(kind: Kind, piece: string): string {
    const opening = this.#open === kind ? '' : this.close() + this.#begin(kind, EMPTY[kind]);
    return piece === '' ? opening : opening + this.#delta(piece);
  }

  call(index: number, { id, name }: { readonly id: string; readonly name: string }): string {
    const call: Call = { id, name, text: '' };
    this.#calls.set(index, call);
    if (typeof this.#open !== 'object') return this.close() + this.#beginCall(call);
    this.#waiting.push(call);
    return this.#sendWaiting();
  }

  arguments(index: number, delta: string): string {
    const call = this.#calls.get(index);
    if (call === undefined || delta === '') return '';
    const isOpen = call === this.#open;
    if (isOpen || this.#waiting.includes(call)) {
      call.text += delta;
      return isOpen ? this.#delta(delta) + this.#sendWaiting() : '';
    }
    // A call without arguments is known as such only at the end of an answer; its block shows that already.
    if (delta === '{}' && call.text === '') return '';
    throw new ServingError('backend_error', {
      message: 'The model’s backend sent arguments of a tool call that had ended.',
    });
  }

  /** Ends the open block, and sends all calls that wait for it. */
  close(): string {
    let events = this.#end();
    for (const call of this.#waiting.splice(0)) events += this.#beginCall(call) + this.#end();
    return events;
  }

  /** Sends waiting calls as soon as those before them are whole. */
  #sendWaiting(): string {
    let events = '';
    while (this.#waiting.length > 0 && typeof this.#open === 'object' && isWhole(this.#open)) {
      const next = this.#waiting.shift();
      if (next !== undefined) events += this.#end() + this.#beginCall(next);
    }
    return events;
  }

  #beginCall(call: Call): string {
    const { id, name, text } = call;
    const opening = this.#begin(call, { type: 'tool_use', id, name, input: {} });
    return text === '' ? opening : opening + this.#delta(text);
  }

  #begin(block: Kind | Call, content_block: object): string {
    this.#open = block;
    const delta = DELTAS[typeof block === 'object' ? 'arguments' : block];
    this.#prefix = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#index},${delta}`;
    return sseEvent(
      { type: 'content_block_start', index: this.#index, content_block },
      'content_block_start',
    );
  }

  #delta(piece: string): string {
    return `${this.#prefix}${JSON.stringify(piece)}}}\n\n`;
  }

  #end(): string {
    if (this.#open === undefined) return '';
    const index = this.#index;
    // Clients drop thinking without a signature from later requests.
    const signature =
      this.#open === 'thinking'
        ? sseEvent(
            { type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: '' } },
            'content_block_delta',
          )
        : '';
    this.#open = undefined;
    this.#index += 1;
    return signature + sseEvent({ type: 'content_block_stop', index }, 'content_block_stop');
  }
}

function isWhole({ text }: Call): boolean {
  return text.endsWith('}') && parseJsonObject(text) !== undefined;
}
