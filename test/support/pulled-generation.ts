/** For tests that read events one after the other: a generation as an async iterable, with a signal that cancels it. */
import type { Backend, GenerateOptions, Generation } from '../../src/core/backend.ts';
import type { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../src/core/generation.ts';
import { type GenerationResult, ResultBuilder } from '../../src/core/generation.ts';

type Next = IteratorResult<GenerationEvent, undefined>;

interface Reader {
  resolve(next: Next): void;
  reject(reason: unknown): void;
}

export interface PulledOptions extends GenerateOptions {
  /** Its reason is the ServingError to cancel with. */
  readonly signal?: AbortSignal;
}

const DONE: Next = { done: true, value: undefined };

/** Starts with the first `next()`. `return()` cancels what has not ended, and settles when the backend is free. */
export class PulledGeneration implements AsyncIterableIterator<GenerationEvent, undefined> {
  readonly #start: () => Generation;
  readonly #signal: AbortSignal | undefined;
  readonly #events: GenerationEvent[] = [];
  #generation: Generation | undefined;
  #reader: Reader | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(
    backend: Pick<Backend, 'generate'>,
    request: GenerationRequest,
    { signal, ...options }: PulledOptions = {},
  ) {
    this.#signal = signal;
    this.#start = () =>
      backend.generate(
        request,
        { event: (event) => this.#give(event), fail: (error) => this.#fail(error) },
        options,
      );
  }

  /** Undefined before the first `next()`. */
  get generation(): Generation | undefined {
    return this.#generation;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    if (this.#generation === undefined && !this.#ended) this.#begin();
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) return Promise.reject(failure.error);
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  async return(): Promise<Next> {
    this.#ended = true;
    this.#events.length = 0;
    this.#failure = undefined;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#generation?.cancel(new Error('the reader has left') as ServingError);
    await this.#generation?.released;
    return DONE;
  }

  #begin(): void {
    if (this.#signal?.aborted) {
      this.#ended = true;
      this.#failure = { error: this.#signal.reason };
      return;
    }
    this.#signal?.addEventListener('abort', this.#onAbort);
    this.#generation = this.#start();
  }

  readonly #onAbort = (): void => {
    this.#events.length = 0;
    this.#generation?.cancel(this.#signal?.reason);
  };

  #give(event: GenerationEvent): void {
    if (this.#ended && this.#reader === undefined) return;
    if (event.type === 'finish') this.#end();
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#events.push(event);
    else reader.resolve({ done: false, value: event });
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#failure = { error };
    else reader.reject(error);
  }

  #end(): void {
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

export function pulled(
  backend: Pick<Backend, 'generate'>,
  request: GenerationRequest,
  options?: PulledOptions,
): PulledGeneration {
  return new PulledGeneration(backend, request, options);
}

/** The whole answer. Throws what the events throw. */
export async function foldEvents(events: AsyncIterable<GenerationEvent>): Promise<GenerationResult> {
  const fold = new ResultBuilder();
  for await (const event of events) {
    const result = fold.add(event);
    if (result !== undefined) return result;
  }
  throw new Error('the events ended without a finish');
}
