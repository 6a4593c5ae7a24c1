/** One response, written byte by byte: as it should be, or by the parts that a fault leaves of it. */
import type { Socket } from 'node:net';
import type { Reply, StreamReply } from '../stand-ins/stand-in-server.ts';

export type Played = Reply | StreamReply;

export class Response {
  readonly #socket: Socket;
  readonly #onComplete: () => void;

  constructor(socket: Socket, onComplete: () => void) {
    this.#socket = socket;
    this.#onComplete = onComplete;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  async send(reply: Played): Promise<void> {
    if (!('frames' in reply)) {
      this.whole(reply);
      return;
    }
    this.head(200, streamHeaders(reply));
    await this.frames([...reply.frames, ...reply.ending]);
    this.end();
  }

  whole({ status, headers, body }: Reply): void {
    const length = String(Buffer.byteLength(body));
    this.head(status, { 'content-type': 'application/json', ...headers, 'content-length': length });
    this.raw(body);
    this.#onComplete();
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.raw(`HTTP/1.1 ${status} X\r\n${fields.join('')}\r\n`);
  }

  /** Chunks of a stream, each in a turn of its own. */
  async frames(frames: readonly (string | Buffer)[]): Promise<void> {
    for (const frame of frames) {
      if (!this.isOpen) return;
      this.chunk(frame);
      await nextTurn();
    }
  }

  chunk(text: string | Buffer): void {
    const bytes = Buffer.from(text);
    this.raw(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]));
  }

  end(): void {
    this.raw('0\r\n\r\n');
    this.#onComplete();
  }

  /** All of it has been written. */
  complete(): void {
    this.#onComplete();
  }

  raw(bytes: string | Buffer): void {
    if (this.isOpen) this.#socket.write(bytes);
  }

  /** What was written arrives first. */
  async reset(): Promise<void> {
    await this.#flushed();
    this.#socket.resetAndDestroy();
  }

  /** Closes the connection in the orderly way. */
  async close(): Promise<void> {
    await this.#flushed();
    this.#socket.end();
    this.#onComplete();
  }

  /** A reset discards what the other side has not read. */
  async #flushed(): Promise<void> {
    if (!this.isOpen) return;
    await new Promise((resolve) => this.#socket.write('', resolve));
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  }
}

export function streamHeaders({ contentType, headers }: StreamReply): Record<string, string> {
  return { ...headers, 'content-type': contentType, 'transfer-encoding': 'chunked' };
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
