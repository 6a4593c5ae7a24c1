/**
 * Numbers for requests that have failed at a target, so that the control process knows which tries are of one request. A number ends with
 * its request: nobody says so, for it may be cancelled anywhere, so it is told by what collects the garbage.
 */
import type { TriedRequest } from '../serving/serving-control.ts';

export class FailedRequests {
  readonly #numbers = new WeakMap<TriedRequest, number>();
  readonly #registry: FinalizationRegistry<number>;
  #last = 0;

  constructor(onForgotten: (number: number) => void) {
    this.#registry = new FinalizationRegistry(onForgotten);
  }

  /** Undefined: it has not failed, or only where the fault cannot have been its own. */
  known(request: TriedRequest): number | undefined {
    return this.#numbers.get(request);
  }

  numberOf(request: TriedRequest): number {
    const known = this.#numbers.get(request);
    if (known !== undefined) return known;
    this.#last += 1;
    this.#numbers.set(request, this.#last);
    this.#registry.register(request, this.#last);
    return this.#last;
  }
}
