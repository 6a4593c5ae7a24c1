/** The Clock port over Node's own timers. Everything else is given a Clock. */
import { performance } from 'node:perf_hooks';
import type { Clock } from './core/clock.ts';

/** setTimeout fires at once beyond this. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  atEndOfTurn: (run) => void setImmediate(run),
};
