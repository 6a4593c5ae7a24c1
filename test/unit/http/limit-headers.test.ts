/** What the headers of limits say, where that is not what is configured. */
import { expect, it } from 'vitest';
import { LimitHeaderTexts } from '../../../src/http/limit-headers.ts';
import { rulesOf } from '../../../src/limits/limit-rule.ts';

const [rule] = rulesOf({ scope: 'all', id: '', name: '' }, { requests_per_minute: 1000 });

function headersOf(state: { limit: number; remaining: number; retryInMs: number }): Record<string, string> {
  if (rule === undefined) throw new Error('no rule');
  const headers = new LimitHeaderTexts().headersOf(
    { rules: [rule], states: [state] },
    { refused: false, wallNow: 0, limitHeaders: undefined },
  );
  const names = headers.filter((_, index) => index % 2 === 0);
  return Object.fromEntries(names.map((name, index) => [name, headers[2 * index + 1] ?? '']));
}

it('a replica that enforces its share alone shows the share everywhere', () => {
  expect(headersOf({ limit: 500, remaining: 400, retryInMs: 0 })).toMatchObject({
    'x-ratelimit-limit': '500',
    'ratelimit-policy': '"all.requests_per_minute";q=500;w=60',
    ratelimit: '"all.requests_per_minute";r=400;t=0',
  });
});

it('numbers have no more digits than structured fields may have', () => {
  const headers = headersOf({ limit: Number.MAX_SAFE_INTEGER, remaining: 9e15, retryInMs: 0 });
  expect(headers['ratelimit-policy']).toBe('"all.requests_per_minute";q=999999999999999;w=60');
  expect(headers.ratelimit).toBe('"all.requests_per_minute";r=999999999999999;t=0');
});
