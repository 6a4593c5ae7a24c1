/**
 * Bounds the retries that could keep a failing backend from recovering: to a part of the recent requests, or to a fixed rate where
 * there are few. Pure: counts of the last ten seconds, one by one.
 */
import type { Milliseconds } from '../core/clock.ts';

export interface RetryBudgetOptions {
  /** Of the requests of the last ten seconds. */
  readonly percent: number;
  /** So many are allowed in any case. */
  readonly perSecond: number;
}

const SECONDS = 10;

export class RetryBudget {
  readonly #options: () => RetryBudgetOptions;
  readonly #requests = new Array<number>(SECONDS).fill(0);
  readonly #retries = new Array<number>(SECONDS).fill(0);
  /** The second that is being counted. */
  #second = 0;

  /** `options` is read with every decision: it may change while the server runs. */
  constructor(options: () => RetryBudgetOptions) {
    this.#options = options;
  }

  requested(now: Milliseconds): void {
    this.#count(this.#requests, now);
  }

  retried(now: Milliseconds): void {
    this.#count(this.#retries, now);
  }

  /** One more retry is within it. */
  allows(now: Milliseconds): boolean {
    this.#turnTo(now);
    const { percent, perSecond } = this.#options();
    const allowed = Math.max((sum(this.#requests) * percent) / 100, perSecond * SECONDS);
    return sum(this.#retries) < allowed;
  }

  #count(counts: number[], now: Milliseconds): void {
    const at = this.#turnTo(now);
    counts[at] = (counts[at] ?? 0) + 1;
  }

  /** Forgets the seconds that are too long ago. A clock that goes back counts for the latest second. */
  #turnTo(now: Milliseconds): number {
    const second = Math.floor(now / 1000);
    const passed = Math.min(SECONDS, second - this.#second);
    for (let forgotten = 0; forgotten < passed; forgotten += 1) {
      const at = (this.#second + 1 + forgotten) % SECONDS;
      this.#requests[at] = 0;
      this.#retries[at] = 0;
    }
    if (passed > 0) this.#second = second;
    return this.#second % SECONDS;
  }
}

function sum(counts: readonly number[]): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
