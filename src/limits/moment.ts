/**
 * The time of a decision, by both clocks. The monotonic one never goes back here; the wall clock is followed wherever it is set, and is read
 * once for a decision, and only where a period asks for it.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';

export class Moment {
  readonly #clock: Pick<Clock, 'now' | 'wallNow'>;
  #now = 0;
  #wallNow = 0;
  #hasWallNow = false;

  constructor(clock: Pick<Clock, 'now' | 'wallNow'>) {
    this.#clock = clock;
  }

  get now(): Milliseconds {
    return this.#now;
  }

  get wallNow(): Milliseconds {
    if (!this.#hasWallNow) {
      this.#wallNow = this.#clock.wallNow();
      this.#hasWallNow = true;
    }
    return this.#wallNow;
  }

  /** The next decision begins. */
  advance(): void {
    this.#now = Math.max(this.#now, this.#clock.now());
    this.#hasWallNow = false;
  }
}
