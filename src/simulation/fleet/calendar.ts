/** What is to happen at which millisecond of a simulation that goes from one millisecond to the next. */
import type { Milliseconds } from '../../core/clock.ts';

export class Calendar {
  readonly #days = new Map<Milliseconds, (() => void)[]>();
  #now: Milliseconds = 0;

  /** In the first millisecond that is not before `at`, and not now. */
  at(at: Milliseconds, run: () => void): void {
    const day = Math.max(this.#now + 1, Math.ceil(at));
    const known = this.#days.get(day);
    if (known === undefined) this.#days.set(day, [run]);
    else known.push(run);
  }

  /** To be called with each millisecond, in order. */
  runAt(now: Milliseconds): void {
    this.#now = now;
    const due = this.#days.get(now) ?? [];
    this.#days.delete(now);
    for (const run of due) run();
  }
}
