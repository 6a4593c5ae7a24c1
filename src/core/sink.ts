/** Helps backends to keep the contract of a GenerationSink: exactly one end, nothing after it, nothing before `generate` has returned. */
import type { Generation, GenerationSink } from './backend.ts';
import { type ServingError, toServingError } from './errors.ts';
import type { GenerationEvent } from './generation.ts';

/** Passes everything on up to the first end, and nothing after it. */
export class GuardedSink implements GenerationSink {
  #sink: GenerationSink | undefined;

  constructor(sink: GenerationSink) {
    this.#sink = sink;
  }

  get ended(): boolean {
    return this.#sink === undefined;
  }

  event(event: GenerationEvent): void {
    const sink = this.#sink;
    if (event.type === 'finish') this.#sink = undefined;
    sink?.event(event);
  }

  fail(error: ServingError): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(error);
  }
}

const RELEASED = Promise.resolve();

/** What a generation holds at the moment: a request to a server, for example. */
export interface HeldWork {
  abort(reason: ServingError): void;
  pause(): void;
  resume(): void;
}

/**
 * A generation that an async function runs. The function awaits something before its first event, and passes on each event in the
 * turn in which it comes. When it settles it holds nothing any more; what it throws ends the generation.
 */
export class RunningGeneration implements Generation {
  readonly released: Promise<void>;
  /** Kept by the backend, where it can begin an answer with them. */
  tokens?: number[];
  readonly #sink: GuardedSink;
  #held: HeldWork | undefined;
  #reason: ServingError | undefined;
  #controller: AbortController | undefined;
  #isPaused = false;
  #onResumed: (() => void) | undefined;

  constructor(sink: GenerationSink, run: (generation: RunningGeneration) => Promise<void>) {
    this.#sink = new GuardedSink(sink);
    this.released = run(this).catch((thrown: unknown) => this.#sink.fail(toServingError(thrown)));
  }

  event(event: GenerationEvent): void {
    this.#sink.event(event);
  }

  get isCancelled(): boolean {
    return this.#reason !== undefined;
  }

  /** From now on `held` is aborted, paused and resumed with the generation. Throws the reason of a cancelled one. */
  hold(held: HeldWork): void {
    if (this.#reason !== undefined) throw this.#reason;
    this.#held = held;
    if (this.#isPaused) held.pause();
  }

  /** For code that takes only signals: it aborts with the generation. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Settles when the sink takes events again, or the generation has been cancelled. */
  resumed(): Promise<void> {
    if (!this.#isPaused || this.#reason !== undefined) return RELEASED;
    return new Promise((resolve) => {
      this.#onResumed = resolve;
    });
  }

  cancel(reason: ServingError): void {
    if (this.#sink.ended) return;
    this.#reason = reason;
    this.#sink.fail(reason);
    this.#held?.abort(reason);
    this.#controller?.abort(reason);
    this.#onResumed?.();
  }

  pause(): void {
    this.#isPaused = true;
    this.#held?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#held?.resume();
    this.#onResumed?.();
    this.#onResumed = undefined;
  }
}
