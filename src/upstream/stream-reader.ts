/**
 * Cuts bytes into lines at LF, wherever the chunks break; a CR before it is dropped. Only whole lines are decoded,
 * so a character that is split between two chunks is never broken.
 */

import { ServingError } from '../core/errors.ts';

type OnLine = (line: string) => void;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const MAX_LINE_BYTES = 8 * 1024 * 1024;

export class LineReader {
  readonly #onLine: OnLine;
  readonly #limitBytes: number;
  /** The line that has no end yet. */
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  constructor(onLine: OnLine, limitBytes: number = MAX_LINE_BYTES) {
    this.#onLine = onLine;
    this.#limitBytes = limitBytes;
  }

  push(chunk: Buffer): void {
    const hasWholeLines = this.#pendingBytes === 0 && chunk[chunk.length - 1] === LINE_FEED;
    if (hasWholeLines && chunk.length <= this.#limitBytes) {
      this.#wholeLines(chunk.toString());
      return;
    }
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      this.#complete(chunk, start, end);
      start = end + 1;
    }
    if (start === chunk.length) return;
    this.#pieces.push(start === 0 ? chunk : chunk.subarray(start));
    this.#pendingBytes += chunk.length - start;
    this.#checkLength(this.#pendingBytes);
  }

  /** As nearly all chunks are: decoding one text and cutting it is cheaper than finding and decoding each line. */
  #wholeLines(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      const hasReturn = end > start && text.charCodeAt(end - 1) === CARRIAGE_RETURN;
      this.#onLine(text.slice(start, hasReturn ? end - 1 : end));
      start = end + 1;
    }
  }

  /** The bytes are over: a last line may lack its end. */
  end(): void {
    if (this.#pendingBytes > 0) this.#complete(Buffer.alloc(0), 0, 0);
  }

  #complete(chunk: Buffer, start: number, end: number): void {
    if (this.#pendingBytes === 0) {
      this.#checkLength(end - start);
      this.#onLine(decode(chunk, start, end));
      return;
    }
    const line = Buffer.concat([...this.#pieces, chunk.subarray(start, end)]);
    this.#pieces = [];
    this.#pendingBytes = 0;
    this.#checkLength(line.length);
    this.#onLine(decode(line, 0, line.length));
  }

  #checkLength(sizeBytes: number): void {
    if (sizeBytes <= this.#limitBytes) return;
    throw new ServingError('backend_error', {
      message: `The model’s backend sent a line of more than ${this.#limitBytes} bytes.`,
    });
  }
}

function decode(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end);
}

/**
 * Reads server-sent events from bytes: comments are skipped, several `data:` lines are one text. Lenient with what
 * servers really send: a bare `error:` field counts as an event of that name, and the last event may lack its blank line.
 */

export interface ServerSentEvent {
  /** From `event:`; absent for most. */
  readonly name?: string;
  readonly data: string;
}

type OnEvent = (event: ServerSentEvent) => void;

export class SseReader {
  readonly #lines: LineReader;
  readonly #onEvent: OnEvent;
  #name: string | undefined;
  #data: string | undefined;

  constructor(onEvent: OnEvent, lineLimitBytes?: number) {
    this.#onEvent = onEvent;
    this.#lines = new LineReader((line) => this.#line(line), lineLimitBytes);
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
    this.#dispatch();
  }

  #line(line: string): void {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const from = colon === -1 ? line.length : line[colon + 1] === ' ' ? colon + 2 : colon + 1;
    const value = line.slice(from);
    if (field === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    else if (field === 'event') this.#name = value;
    else if (field === 'error') this.#onEvent({ name: 'error', data: value });
  }

  #dispatch(): void {
    const data = this.#data;
    const name = this.#name;
    this.#data = undefined;
    this.#name = undefined;
    if (data !== undefined) this.#onEvent(name === undefined ? { data } : { name, data });
  }
}
