/** Time as an argument, so that everything that waits can be tested without waiting. */
export type Milliseconds = number;

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with decimals; only differences mean anything. */
  now(): Milliseconds;
  /** Milliseconds since the Unix epoch. */
  wallNow(): Milliseconds;
  /** Calls `run` once, `delayMs` from now. A pending timer does not keep the process alive. */
  schedule(delayMs: Milliseconds, run: () => void): Timer;
  /** Calls `run` once, at the end of this turn of the event loop. */
  atEndOfTurn(run: () => void): void;
}
