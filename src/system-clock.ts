/** The Clock port over Node's own timers. Everything else gets a Clock passed in. */
import { performance } from 'node:perf_hooks';
import type { Clock } from './core/clock.ts';

/** Beyond this, setTimeout fires at once. */
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

/** Of the whole host: the same in all of its processes. */
export function hostNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
