/** What clients of the OpenAI API read of limits: x-ratelimit-limit-requests and the like. */
import type { Milliseconds } from '../../core/clock.ts';
import type { LimitHeaders, RemainingAmount } from '../protocol.ts';

const REQUESTS = {
  limit: 'x-ratelimit-limit-requests',
  remaining: 'x-ratelimit-remaining-requests',
  reset: 'x-ratelimit-reset-requests',
};
const TOKENS = {
  limit: 'x-ratelimit-limit-tokens',
  remaining: 'x-ratelimit-remaining-tokens',
  reset: 'x-ratelimit-reset-tokens',
};

export const openAiLimitHeaders: LimitHeaders = {
  names: [...Object.values(REQUESTS), ...Object.values(TOKENS)],
  addTo: (headers, { requests, tokens }) => {
    if (requests !== undefined) add(headers, REQUESTS, requests);
    if (tokens !== undefined) add(headers, TOKENS, tokens);
  },
};

function add(
  headers: string[],
  names: typeof REQUESTS,
  { limit, remaining, resetInMs }: RemainingAmount,
): void {
  headers.push(names.limit, String(limit), names.remaining, String(remaining));
  if (resetInMs !== undefined) headers.push(names.reset, goDuration(resetInMs));
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
