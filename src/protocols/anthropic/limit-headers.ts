/**
 * What clients of the Anthropic API read of limits: anthropic-ratelimit-requests-limit and the like. Those of input and output tokens are
 * missing: a limit here is on both together.
 */
import type { Milliseconds } from '../../core/clock.ts';
import type { LimitHeaders, RemainingAmount } from '../protocol.ts';

export const anthropicLimitHeaders: LimitHeaders = {
  names: ['requests', 'tokens'].flatMap((what) =>
    ['limit', 'remaining', 'reset'].map((fact) => `anthropic-ratelimit-${what}-${fact}`),
  ),
  of: ({ requests, tokens }, wallNow) => {
    const headers: Record<string, string> = {};
    if (requests !== undefined) add(headers, { what: 'requests', left: requests, wallNow });
    if (tokens !== undefined) add(headers, { what: 'tokens', left: tokens, wallNow });
    return headers;
  },
};

function add(
  headers: Record<string, string>,
  {
    what,
    left: { limit, remaining, resetInMs },
    wallNow,
  }: { readonly what: string; readonly left: RemainingAmount; readonly wallNow: Milliseconds },
): void {
  const prefix = `anthropic-ratelimit-${what}`;
  headers[`${prefix}-limit`] = String(limit);
  headers[`${prefix}-remaining`] = String(remaining);
  if (resetInMs !== undefined) headers[`${prefix}-reset`] = rfc3339(wallNow + resetInMs);
}

/** In whole seconds, rounded up: then it is so. */
function rfc3339(wallTime: Milliseconds): string {
  return new Date(Math.ceil(wallTime / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
