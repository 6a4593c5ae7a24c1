/**
 * Cuts bytes into lines at LF, wherever the chunks break; a CR before it is dropped. Only whole lines are decoded,
 * so a character that is split between two chunks is never broken.
 */
import { ServingError } from '../core/errors.ts';

export type OnLine = (line: string) => void;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LINE_LIMIT_BYTES = 8 * 1024 * 1024;

export class LineReader {
  readonly #onLine: OnLine;
  readonly #limitBytes: number;
  /** The line that has no end yet. */
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  constructor(onLine: OnLine, limitBytes: number = LINE_LIMIT_BYTES) {
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
