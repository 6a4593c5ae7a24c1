/**
 * Reads server-sent events from bytes: comments are skipped, several `data:` lines are one text. Lenient with what
 * servers really send: a bare `error:` field counts as an event of that name, and the last event may lack its blank line.
 */
import { LineReader } from './line-reader.ts';

export interface ServerSentEvent {
  /** From `event:`; absent for most. */
  readonly name?: string;
  readonly data: string;
}

export type OnEvent = (event: ServerSentEvent) => void;

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
