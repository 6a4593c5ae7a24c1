/** Pure: lengths of time, counts, shares and rates, as every view of the page writes them. The command line has the same formula for tokens a second in src/cli. */

const NONE = '–';
const NARROW_SPACE = '\u202f';

/** Milliseconds as `0.4 ms`, `340 ms`, `1.24 s`, `12.0 s`, `45 s`, `3 min 5 s`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 0) return duration(0);
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 99.5) return `${seconds.toFixed(seconds < 20 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Two digits behind the point below 10, one below 100, none above; a comma between thousands: `0.25`, `41.7`, `340`, `12,345`. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** `plural(1, 'slot')` is `1 slot`, `plural(2_000, 'try', 'tries')` is `2,000 tries`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return NONE;
  const share = (part / whole) * 100;
  // 99.96 % is not all.
  const rounded = share > 99 && part < whole ? Math.floor(share * 10) / 10 : Math.round(share);
  return `${rounded}${NARROW_SPACE}%`;
}

/**
 * How fast one answer was written: its tokens after the first, in the time from the first to the last. Undefined where that cannot be
 * said: of fewer than two tokens, or of no time.
 */
export function tokensPerSecond(
  completionTokens: number | null | undefined,
  generateMs: number | null | undefined,
): number | undefined {
  if (!completionTokens || completionTokens < 2 || !generateMs || generateMs <= 0) return undefined;
  return ((completionTokens - 1) * 1_000) / generateMs;
}

/** `41.7 tokens/s`. */
export function tokenRate(perSecond: number | null | undefined): string {
  return perSecond === null || perSecond === undefined ? NONE : `${number(perSecond)} tokens/s`;
}
