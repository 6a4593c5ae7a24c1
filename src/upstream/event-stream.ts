/**
 * Turns something that pushes (a socket, a timer) into the async iterable that the backend port asks for.
 * It owns the queue between the two and keeps the port's promise: an abort rejects a pending `next()` at once
 * with the signal's reason, `return()` settles only when `run` has settled, and nothing follows an end.
 */
import { ServingError, toServingError } from '../core/errors.ts';

/** What the running side sees. */
export interface EventSink<Event> {
  /** Ignored once the stream has ended or was aborted. */
  push(event: Event): void;
  /** The reader lags behind: stop producing until `drained()`. */
  readonly full: boolean;
  /** Resolves when the reader has caught up, or the stream is over. */
  drained(): Promise<void>;
}

/**
 * Produces the events. It resolves when everything behind the stream is free; a throw ends the stream with
 * that error. Its signal aborts when the reader's does, and when the reader walks away.
 */
export type Produce<Event> = (sink: EventSink<Event>, signal: AbortSignal) => Promise<void>;

interface Reader<Event> {
  readonly resolve: (result: IteratorResult<Event, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

const QUEUE_LIMIT = 256;

export class EventStream<Event> implements AsyncIterableIterator<Event, undefined>, EventSink<Event> {
  readonly #signal: AbortSignal;
  readonly #produce: Produce<Event>;
  readonly #inner = new AbortController();
  #state: 'new' | 'running' | 'ended' | 'failed' | 'over' = 'new';
  #failure: unknown;
  #queue: Event[] = [];
  #head = 0;
  #reader: Reader<Event> | undefined;
  #settled: Promise<void> = Promise.resolve();
  #wakeProducer: (() => void) | undefined;

  /** Nothing happens before the first `next()`. */
  constructor(signal: AbortSignal, produce: Produce<Event>) {
    this.#signal = signal;
    this.#produce = produce;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(event: Event): void {
    if (this.#state !== 'running') return;
    const reader = this.#reader;
    if (reader === undefined) {
      this.#queue.push(event);
      return;
    }
    this.#reader = undefined;
    reader.resolve({ done: false, value: event });
  }

  get full(): boolean {
    return this.#state === 'running' && this.#queue.length - this.#head >= QUEUE_LIMIT;
  }

  drained(): Promise<void> {
    if (!this.full) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeProducer = resolve;
    });
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    const event = this.#queue[this.#head];
    if (event !== undefined) {
      this.#advance();
      return Promise.resolve({ done: false, value: event });
    }
    switch (this.#state) {
      case 'new':
        this.#start();
        return this.next();
      case 'running':
        return this.#wait();
      case 'failed':
        this.#state = 'over';
        return Promise.reject(this.#failure);
      case 'ended':
      case 'over':
        return Promise.resolve({ done: true, value: undefined });
    }
  }

  async return(): Promise<IteratorResult<Event, undefined>> {
    // What has ended by itself has nothing left to cancel.
    const isRunning = this.#state === 'running';
    this.#leave();
    if (isRunning) this.#inner.abort(new ServingError('client_gone'));
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve({ done: true, value: undefined });
    await this.#settled;
    return { done: true, value: undefined };
  }

  #wait(): Promise<IteratorResult<Event, undefined>> {
    if (this.#reader !== undefined) return Promise.reject(new Error('An event stream has one reader.'));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  #advance(): void {
    this.#head += 1;
    if (this.#head < this.#queue.length) return;
    this.#queue = [];
    this.#head = 0;
    this.#wake();
  }

  #wake(): void {
    const wake = this.#wakeProducer;
    this.#wakeProducer = undefined;
    wake?.();
  }

  #start(): void {
    if (this.#signal.aborted) {
      this.#state = 'failed';
      this.#failure = this.#signal.reason;
      return;
    }
    this.#state = 'running';
    this.#signal.addEventListener('abort', this.#onAbort);
    this.#settled = this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.#produce(this, this.#inner.signal);
      this.#end();
    } catch (thrown) {
      this.#fail(toServingError(thrown));
    } finally {
      this.#signal.removeEventListener('abort', this.#onAbort);
    }
  }

  #end(): void {
    if (this.#state !== 'running') return;
    this.#state = 'ended';
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve({ done: true, value: undefined });
  }

  /** Events that were pushed before the failure are still read first. */
  #fail(failure: unknown): void {
    if (this.#state !== 'running') return;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) {
      this.#state = 'failed';
      this.#failure = failure;
    } else {
      this.#state = 'over';
      reader.reject(failure);
    }
  }

  /** Drops what nobody will read. */
  #leave(): void {
    this.#state = 'over';
    this.#queue = [];
    this.#head = 0;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#wake();
  }

  readonly #onAbort = (): void => {
    if (this.#state !== 'running') return;
    this.#queue = [];
    this.#head = 0;
    this.#fail(this.#signal.reason);
    this.#wake();
    this.#inner.abort(this.#signal.reason);
  };
}
