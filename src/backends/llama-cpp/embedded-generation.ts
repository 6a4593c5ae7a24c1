/**
 * One generation in the engine behind the port's handle: what the engine sends goes to the sink in the same turn. Owns
 * where it is: being prepared, or handed to the engine; and whether it is paused. Invariants: the sink is told one end;
 * `released` settles when neither its preparation nor the engine goes on with it.
 */
import type { Generation, GenerationSink } from '../../core/backend.ts';
import { type ServingError, toServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { GuardedSink } from '../../core/sink.ts';
import type { EngineGenerationSink, GenerationHandle } from './engine-client.ts';

/** Tells the sink nothing before it has returned. */
export type RunInEngine<Order> = (order: Order, sink: EngineGenerationSink) => GenerationHandle;

export class EmbeddedGeneration<Order> implements Generation, EngineGenerationSink {
  readonly released: Promise<void>;
  readonly #sink: GuardedSink;
  readonly #runInEngine: RunInEngine<Order>;
  #release: () => void = () => {};
  /** While it is prepared. */
  #preparation: AbortController | undefined;
  /** Once the engine has it, or will have it when it is ready. */
  #handle: GenerationHandle | undefined;
  #paused = false;

  constructor(sink: GenerationSink, runInEngine: RunInEngine<Order>) {
    this.#sink = new GuardedSink(sink);
    this.#runInEngine = runInEngine;
    this.released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  run(order: Order): void {
    this.#handle = this.#runInEngine(order, this);
    if (this.#paused) this.#handle.pause();
  }

  /** Runs it with an order that has to be waited for; `prepare` rejects soon after its signal aborts. */
  runPrepared(prepare: (signal: AbortSignal) => Promise<Order>): void {
    const preparation = new AbortController();
    this.#preparation = preparation;
    prepare(preparation.signal).then(
      (order) => {
        this.#preparation = undefined;
        if (this.#sink.ended) this.#release();
        else this.run(order);
      },
      (thrown: unknown) => this.failed(toServingError(thrown)),
    );
  }

  cancel(reason: ServingError): void {
    if (this.#sink.ended) return;
    this.#sink.fail(reason);
    this.#preparation?.abort(reason);
    this.#handle?.abort();
  }

  pause(): void {
    if (this.#sink.ended) return;
    this.#paused = true;
    this.#handle?.pause();
  }

  resume(): void {
    if (this.#sink.ended) return;
    this.#paused = false;
    this.#handle?.resume();
  }

  event(event: GenerationEvent): void {
    if (event.type === 'finish') this.#release();
    this.#sink.event(event);
  }

  failed(error: ServingError): void {
    this.#release();
    this.#sink.fail(error);
  }

  freed(): void {
    this.#release();
  }
}
