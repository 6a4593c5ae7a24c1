/** How long to wait before an engine that died is started again. Pure. */
import type { Milliseconds } from '../../core/clock.ts';

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** An engine that ran this long was healthy: its death counts as a first one. */
export const HEALTHY_AFTER_MS: Milliseconds = 60_000;
/** Up to here requests may wait for the restart; beyond, they are told that the engine is down. */
export const CRASHES_WORTH_WAITING_FOR = 3;

/** The first restart is at once, then after 1 s, 2 s, 4 s … 30 s. `crashes` counts in a row, from 1. */
export function restartDelayMs(crashes: number): Milliseconds {
  if (crashes <= 1) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (crashes - 2));
}
