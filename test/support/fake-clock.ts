/** Time that moves only when a test moves it. */
import type { Clock, Timer } from '../../src/core/clock.ts';

interface Pending {
  readonly at: number;
  readonly run: () => void;
}

/** A timer for less would fire at the same time for ever: a time of some seconds plus a trillionth of one is the same number. */
const LEAST_MS = 0.001;

export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Pending>();
  #endOfTurn: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#now;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const pending = { at: this.#now + (delayMs > 0 ? Math.max(delayMs, LEAST_MS) : 0), run };
    this.#timers.add(pending);
    return { cancel: () => this.#timers.delete(pending) };
  }

  atEndOfTurn(run: () => void): void {
    this.#endOfTurn.push(run);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Time that code takes to run, in the middle of a turn. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Ends the turn: runs what waits for that, then lets promises settle. */
  async endTurn(): Promise<void> {
    const due = this.#endOfTurn;
    this.#endOfTurn = [];
    for (const run of due) run();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Ends turns until nothing is left. */
  async settle(): Promise<void> {
    do await this.endTurn();
    while (this.#endOfTurn.length > 0);
  }

  /** Moves time on, running timers in their order. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await this.settle();
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await this.settle();
    }
    this.#now = Math.max(this.#now, end);
    await this.settle();
  }
}
