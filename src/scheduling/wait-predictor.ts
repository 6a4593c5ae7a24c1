/**
 * How long a request will wait: until a slot is free, and then for the work ahead of it, spread over the slots. (What the
 * other slots still have to do when it starts is as much as they have to do now: of what is running only one request's
 * rest counts.) Whoever can be overtaken by requests that are yet to come waits longer than that; by how much is
 * learned from what came of earlier predictions.
 */
import type { Milliseconds } from '../core/clock.ts';
import { RecentMean } from './recent-mean.ts';
import type { ServiceTime } from './service-time.ts';
import type { Work } from './work.ts';

/** Of a request that runs, this part is still to come on average. */
const STILL_TO_COME = 0.5;
/** Predictions that were off by more were so for a reason that is over. */
const LARGEST_CORRECTION = 3;
/** Before so many outcomes predictions stand as they are: the first ones are made while a queue builds up. */
const CORRECTED_AFTER = 16;

/** What goes before a request, as things stand. */
export interface Ahead {
  readonly work: Work;
  /** Requests that are yet to come may go before it too. */
  readonly canBeOvertaken: boolean;
  /** Of a lower class: when ageing will have made room for it, and what goes before it even then. */
  readonly aged?: { readonly afterMs: Milliseconds; readonly work: Work } | undefined;
}

/** What is served at the same time, and how much of it. */
export interface Service {
  readonly running: Work;
  readonly slots: number;
}

export class WaitPredictor {
  readonly #serviceTime: ServiceTime;
  readonly #predictedMs = new RecentMean(0);
  readonly #waitedMs = new RecentMean(0);

  constructor(serviceTime: ServiceTime) {
    this.#serviceTime = serviceTime;
  }

  waitMs({ work, canBeOvertaken, aged }: Ahead, service: Service): Milliseconds {
    const waitMs = this.uncorrectedMs(work, service) * (canBeOvertaken ? this.#correction : 1);
    if (aged === undefined) return waitMs;
    const agedMs = Math.max(aged.afterMs, this.uncorrectedMs(aged.work, service));
    return Math.min(waitMs, agedMs + this.#untilOneEndsMs(service));
  }

  uncorrectedMs(ahead: Work, service: Service): Milliseconds {
    return this.#untilOneEndsMs(service) + this.#serviceTime.of(ahead) / Math.max(1, service.slots);
  }

  /** What came of an uncorrected prediction for a request that could be overtaken. */
  learn(outcome: { readonly predictedMs: Milliseconds; readonly waitedMs: Milliseconds }): void {
    this.#predictedMs.add(outcome.predictedMs);
    this.#waitedMs.add(outcome.waitedMs);
  }

  #untilOneEndsMs({ running, slots }: Service): Milliseconds {
    return (STILL_TO_COME * this.#serviceTime.of(running)) / Math.max(1, slots) ** 2;
  }

  get #correction(): number {
    if (this.#predictedMs.count < CORRECTED_AFTER || this.#predictedMs.value <= 0) return 1;
    return Math.min(LARGEST_CORRECTION, Math.max(1, this.#waitedMs.value / this.#predictedMs.value));
  }
}
