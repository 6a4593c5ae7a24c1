/** Real time, for tests that talk over real sockets. */
import type { Clock } from '../../../src/core/clock.ts';

export const realClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  atEndOfTurn: (run) => void setImmediate(run),
};
