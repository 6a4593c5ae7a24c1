/**
 * Reads streamed response bodies wherever their chunks break: lines (NDJSON) and server-sent events. A character that is
 * split between two chunks is put together again. What has no end is bounded: a longer line or event is a backend_error.
 */
import { StringDecoder } from 'node:string_decoder';
import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import { ServingError } from '../core/errors.ts';

/** Characters of one line, or of the data of one event. */
const MAX_LENGTH = 8 * 1024 * 1024;

/** Lines end with LF or CRLF; the last one may lack its end. */
export class LineReader {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  readonly #maxLength: number;
  /** The line that has no end yet. */
  #pending = '';

  constructor(onLine: (line: string) => void, maxLength = MAX_LENGTH) {
    this.#onLine = onLine;
    this.#maxLength = maxLength;
  }

  push(chunk: Buffer): void {
    this.#read(this.#decoder.write(chunk));
  }

  /** The body is over. */
  end(): void {
    this.#read(this.#decoder.end());
    if (this.#pending !== '') this.#complete('');
  }

  #read(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#complete(text.slice(start, end));
      start = end + 1;
    }
    if (start === text.length) return;
    this.#pending += text.slice(start);
    if (this.#pending.length > this.#maxLength) throw tooLong('line', this.#maxLength);
  }

  #complete(rest: string): void {
    const line = this.#pending === '' ? rest : this.#pending + rest;
    this.#pending = '';
    if (line.length > this.#maxLength) throw tooLong('line', this.#maxLength);
    this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}

/** `event`: its name, absent for most. `data`: its `data:` lines, joined with LF. */
export type ServerSentEvent = Pick<EventSourceMessage, 'event' | 'data'>;

/** Fields that the standard does not know are ignored, as it demands; what has not even a field's name is malformed. */
const FIELD_NAME = /^[\w-]*$/;

interface EventReaderOptions {
  readonly maxLength?: number;
  /** A line that is no field. */
  readonly onMalformed?: (line: string) => void;
}

/** Beyond the standard: a bare `error:` field is an event of that name, and the last event may lack its blank line. */
export class EventReader {
  readonly #decoder = new StringDecoder('utf8');
  readonly #parser: EventSourceParser;

  constructor(
    onEvent: (event: ServerSentEvent) => void,
    { maxLength = MAX_LENGTH, onMalformed }: EventReaderOptions = {},
  ) {
    this.#parser = createParser({
      maxBufferSize: maxLength,
      onEvent,
      onError: ({ type, field = '', value = '', line = '' }) => {
        if (type === 'max-buffer-size-exceeded') throw tooLong('event', maxLength);
        if (field === 'error') onEvent({ event: 'error', data: value });
        else if (!FIELD_NAME.test(field)) onMalformed?.(line);
      },
    });
  }

  push(chunk: Buffer): void {
    this.#parser.feed(this.#decoder.write(chunk));
  }

  /** The body is over. */
  end(): void {
    this.#parser.feed(`${this.#decoder.end()}\n\n`);
  }
}

function tooLong(what: 'line' | 'event', maxLength: number): ServingError {
  return new ServingError('backend_error', {
    message: `The model’s backend sent ${what === 'line' ? 'a line' : 'an event'} of more than ${maxLength} characters.`,
    failure: 'garbage',
  });
}
