/** A moving average of how long a granted slot is held, and the Retry-After that follows from it. */
import type { Milliseconds } from '../core/clock.ts';

const WEIGHT_OF_NEWEST = 0.1;
const ASSUMED_BEFORE_ANY_MS = 1000;
const LONGEST_RETRY_AFTER_SECONDS = 600;

export class ServiceTime {
  #meanMs: Milliseconds | undefined;

  get meanMs(): Milliseconds {
    return this.#meanMs ?? ASSUMED_BEFORE_ANY_MS;
  }

  record(durationMs: Milliseconds): void {
    const sample = Math.max(0, durationMs);
    this.#meanMs =
      this.#meanMs === undefined ? sample : this.#meanMs + WEIGHT_OF_NEWEST * (sample - this.#meanMs);
  }

  /** Whole seconds until `waiting` requests have passed through `slots`; at least 1 (0 makes clients retry within milliseconds). */
  retryAfterSeconds(load: { readonly waiting: number; readonly slots: number }): number {
    return Math.min(LONGEST_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(this.waitMs(load) / 1000)));
  }

  /** For `waiting` requests to pass through `slots`. */
  waitMs(load: { readonly waiting: number; readonly slots: number }): Milliseconds {
    return (load.waiting * this.meanMs) / Math.max(1, load.slots);
  }
}
