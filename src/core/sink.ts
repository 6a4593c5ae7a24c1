/** What backends keep the port's promises with: one end, nothing after it, and nothing before `generate` has returned. */
import type { Generation, GenerationSink } from './backend.ts';
import type { ServingError } from './errors.ts';
import type { GenerationEvent } from './generation.ts';

/** Passes on all up to the first end, and nothing after it. */
export class EndingSink implements GenerationSink {
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

/** A generation that does not begin. */
export function refusedGeneration(error: ServingError, sink: GenerationSink): Generation {
  const ending = new EndingSink(sink);
  queueMicrotask(() => ending.fail(error));
  return { cancel: (reason) => ending.fail(reason), pause() {}, resume() {}, released: RELEASED };
}
