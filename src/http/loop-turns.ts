/** Long pieces of work, one to each turn of the event loop: whatever else has arrived is served between two of them. */
import type { Clock } from '../core/clock.ts';

export class LoopTurns {
  readonly #clock: Pick<Clock, 'atEndOfTurn'>;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Pick<Clock, 'atEndOfTurn'>) {
    this.#clock = clock;
  }

  /** Resolves in a turn that no other piece of work has been given. In the order of the calls. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#clock.atEndOfTurn(this.#give);
    });
  }

  readonly #give = (): void => {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) this.#clock.atEndOfTurn(this.#give);
  };
}
