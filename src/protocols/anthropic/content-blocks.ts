/**
 * The content blocks of one streamed message, as events. Owned by one answer. Invariant: one block is open at a time, and none is
 * opened again: a call that begins while another is not whole waits for it with what has come of its arguments.
 */
import { ServingError } from '../../core/errors.ts';
import { objectIn } from '../object-in.ts';
import { eventLines } from '../server-sent-events.ts';

interface Call {
  readonly id: string;
  readonly name: string;
  /** All that has come. */
  text: string;
}

type Kind = 'text' | 'thinking';

/** In front of the JSON text of a piece. */
const DELTAS = {
  text: '"delta":{"type":"text_delta","text":',
  thinking: '"delta":{"type":"thinking_delta","thinking":',
  arguments: '"delta":{"type":"input_json_delta","partial_json":',
} as const;

const EMPTY = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
} as const;

export class ContentBlocks {
  /** Of the open block, or of the next. */
  #index = 0;
  #open: Kind | Call | undefined;
  /** Of the open block: all of a delta's event before its piece. */
  #prefix = '';
  #calls = new Map<number, Call>();
  #waiting: Call[] = [];

  /** A piece of text or of thoughts; an empty one opens the block and says nothing. */
  say(kind: Kind, piece: string): string {
    const opening = this.#open === kind ? '' : this.close() + this.#begin(kind, EMPTY[kind]);
    return piece === '' ? opening : opening + this.#delta(piece);
  }

  call(index: number, { id, name }: { readonly id: string; readonly name: string }): string {
    const call: Call = { id, name, text: '' };
    this.#calls.set(index, call);
    if (typeof this.#open !== 'object') return this.close() + this.#beginCall(call);
    this.#waiting.push(call);
    return this.#passOn();
  }

  arguments(index: number, delta: string): string {
    const call = this.#calls.get(index);
    if (call === undefined || delta === '') return '';
    const isOpen = call === this.#open;
    if (isOpen || this.#waiting.includes(call)) {
      call.text += delta;
      return isOpen ? this.#delta(delta) + this.#passOn() : '';
    }
    // Only the end of an answer tells that a call has no arguments: a block without any says so already.
    if (delta === '{}' && call.text === '') return '';
    throw new ServingError('backend_error', {
      message: 'The model’s backend sent arguments of a tool call that had ended.',
    });
  }

  /** Ends the open block, and says all that waits for it. */
  close(): string {
    let events = this.#end();
    for (const call of this.#waiting.splice(0)) events += this.#beginCall(call) + this.#end();
    return events;
  }

  /** The calls that wait come as soon as those before them are whole. */
  #passOn(): string {
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
    return eventLines(
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
    // Clients take it from here: thoughts without one are not shown to a model again.
    const signature =
      this.#open === 'thinking'
        ? eventLines(
            { type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: '' } },
            'content_block_delta',
          )
        : '';
    this.#open = undefined;
    this.#index += 1;
    return signature + eventLines({ type: 'content_block_stop', index }, 'content_block_stop');
  }
}

function isWhole({ text }: Call): boolean {
  return text.endsWith('}') && objectIn(text) !== undefined;
}
