/** How long a process of ours that keeps dying is left alone before it is started again. */
import type { Milliseconds } from './clock.ts';

const FIRST_DELAY_MS: Milliseconds = 1000;
const MAX_DELAY_MS: Milliseconds = 30_000;

/** The first restart is at once, then after 1 s, 2 s, 4 s … 30 s. `crashes`: in a row, from 1. */
export function restartDelayMs(crashes: number): Milliseconds {
  if (crashes <= 1) return 0;
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (crashes - 2));
}
