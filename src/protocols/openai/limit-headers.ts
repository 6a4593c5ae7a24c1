/** What clients of the OpenAI API read of limits: x-ratelimit-limit-requests and the like. */
import type { Milliseconds } from '../../core/clock.ts';
import type { LimitHeaders, RemainingAmount } from '../protocol.ts';

export const openAiLimitHeaders: LimitHeaders = {
  names: ['requests', 'tokens'].flatMap((what) =>
    ['limit', 'remaining', 'reset'].map((fact) => `x-ratelimit-${fact}-${what}`),
  ),
  of: ({ requests, tokens }) => {
    const headers: Record<string, string> = {};
    if (requests !== undefined) add(headers, 'requests', requests);
    if (tokens !== undefined) add(headers, 'tokens', tokens);
    return headers;
  },
};

function add(
  headers: Record<string, string>,
  what: string,
  { limit, remaining, resetInMs }: RemainingAmount,
): void {
  headers[`x-ratelimit-limit-${what}`] = String(limit);
  headers[`x-ratelimit-remaining-${what}`] = String(remaining);
  if (resetInMs !== undefined) headers[`x-ratelimit-reset-${what}`] = goDuration(resetInMs);
}

/** As Go writes a duration, to the millisecond: `6m0s`, `1.5s`, `20ms`, `0s`. */
export function goDuration(milliseconds: Milliseconds): string {
  const whole = Math.ceil(milliseconds);
  if (whole === 0) return '0s';
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = `${(whole % 60_000) / 1000}s`;
  if (minutes === 0) return seconds;
  if (minutes < 60) return `${minutes}m${seconds}`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}
