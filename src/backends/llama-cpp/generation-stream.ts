/**
 * The iterator over one generation in the engine, written by hand because an async generator cannot be interrupted
 * while it waits. Owns the events not read yet. Invariants: an abort rejects a pending `next()` at once; `return()`
 * settles only when the engine holds no work of this generation; `finish` or an error is the last thing it gives.
 */
import type { GenerationEvent } from '../../core/generation.ts';

/** Where the engine's side reports to. */
export interface GenerationSink {
  event(event: GenerationEvent): void;
  /** It ended with an error. */
  failed(error: Error): void;
  /** It was aborted, and its sequence is idle. */
  freed(): void;
}

export interface RunningOrder {
  /** The sink hears `freed`, or the end that came first. */
  abort(): void;
}

export type StartGeneration = (sink: GenerationSink) => RunningOrder;

interface Reader {
  resolve(result: IteratorResult<GenerationEvent, undefined>): void;
  reject(reason: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

export class GenerationStream implements AsyncIterableIterator<GenerationEvent, undefined> {
  readonly #start: StartGeneration;
  readonly #signal: AbortSignal;
  readonly #events: GenerationEvent[] = [];
  #reader: Reader | undefined;
  #running: RunningOrder | undefined;
  /** Given to the reader once, after the events; an object so that any reason counts as one. */
  #failure: { readonly reason: unknown } | undefined;
  #started = false;
  /** Nothing more is given, whatever still comes. */
  #closed = false;
  readonly #whenFree: Promise<void>;
  #free: () => void = () => {};

  constructor(start: StartGeneration, signal: AbortSignal) {
    this.#start = start;
    this.#signal = signal;
    this.#whenFree = new Promise((resolve) => {
      this.#free = resolve;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<GenerationEvent, undefined>> {
    if (!this.#started) this.#begin();
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      return Promise.reject(failure.reason);
    }
    if (this.#closed) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<GenerationEvent, undefined>> {
    if (!this.#started) {
      this.#started = true;
      this.#free();
    }
    if (!this.#closed) this.#running?.abort();
    this.#close();
    this.#events.length = 0;
    this.#failure = undefined;
    await this.#whenFree;
    return DONE;
  }

  #begin(): void {
    this.#started = true;
    if (this.#signal.aborted) {
      this.#fail(this.#signal.reason);
      this.#free();
      return;
    }
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#running = this.#start({
      event: (event) => this.#give(event),
      failed: (error) => {
        this.#fail(error);
        this.#free();
      },
      freed: () => {
        this.#close();
        this.#free();
      },
    });
  }

  readonly #onAbort = (): void => {
    if (this.#closed) return;
    this.#events.length = 0;
    this.#fail(this.#signal.reason);
    this.#running?.abort();
  };

  #give(event: GenerationEvent): void {
    if (event.type === 'finish') this.#free();
    if (this.#closed) return;
    const reader = this.#takeReader();
    if (reader) reader.resolve({ done: false, value: event });
    else this.#events.push(event);
    if (event.type === 'finish') this.#close();
  }

  #fail(reason: unknown): void {
    if (this.#closed) return;
    const reader = this.#takeReader();
    if (reader) reader.reject(reason);
    else this.#failure = { reason };
    this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#takeReader()?.resolve(DONE);
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}
