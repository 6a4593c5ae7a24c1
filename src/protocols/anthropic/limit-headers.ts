/**
 * What clients of the Anthropic API read of limits: anthropic-ratelimit-requests-limit and the like. Those of input and output tokens are
 * missing: a limit here is on both together.
 */
import type { Milliseconds } from '../../core/clock.ts';
import type { LimitHeaders, RemainingAmount } from '../protocol.ts';

const REQUESTS = {
  limit: 'anthropic-ratelimit-requests-limit',
  remaining: 'anthropic-ratelimit-requests-remaining',
  reset: 'anthropic-ratelimit-requests-reset',
};
const TOKENS = {
  limit: 'anthropic-ratelimit-tokens-limit',
  remaining: 'anthropic-ratelimit-tokens-remaining',
  reset: 'anthropic-ratelimit-tokens-reset',
};

export const anthropicLimitHeaders: LimitHeaders = {
  names: [...Object.values(REQUESTS), ...Object.values(TOKENS)],
  addTo: (headers, { requests, tokens }, wallNow) => {
    if (requests !== undefined) add(headers, { names: REQUESTS, left: requests, wallNow });
    if (tokens !== undefined) add(headers, { names: TOKENS, left: tokens, wallNow });
  },
};

function add(
  headers: string[],
  {
    names,
    left: { limit, remaining, resetInMs },
    wallNow,
  }: { readonly names: typeof REQUESTS; readonly left: RemainingAmount; readonly wallNow: Milliseconds },
): void {
  headers.push(names.limit, String(limit), names.remaining, String(remaining));
  if (resetInMs !== undefined) headers.push(names.reset, rfc3339(wallNow + resetInMs));
}

/** In whole seconds, rounded up: then it is so. */
function rfc3339(wallTime: Milliseconds): string {
  return new Date(Math.ceil(wallTime / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
