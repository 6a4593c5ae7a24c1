/** What the headers of limits say, where that is not what is configured. */
import { expect, it } from 'vitest';
import type { Limits } from '../../../src/core/limit-names.ts';
import { type KnownLimits, LimitHeaderTexts } from '../../../src/http/limit-headers.ts';
import { type LimitScope, rulesOf } from '../../../src/limits/limit-rule.ts';

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

it('each answer names its own limits, whatever the ones before it had', () => {
  const texts = new LimitHeaderTexts();
  const shown = (scope: LimitScope, limits: Limits, first?: Limits) => {
    const known = (of: Limits): KnownLimits => {
      const rules = rulesOf({ scope, id: 'a', name: 'a' }, of);
      return { rules, states: rules.map(({ limit }) => ({ limit, remaining: limit - 1, retryInMs: 0 })) };
    };
    const headers = texts.headersOf(known(limits), {
      first: first && known(first),
      ...{ refused: false, wallNow: 0, limitHeaders: undefined },
    });
    return [headers[headers.indexOf('ratelimit-policy') + 1], headers[headers.indexOf('ratelimit') + 1]];
  };
  const one: Limits = { requests_per_minute: 3 };
  const two: Limits = { requests_per_minute: 3, tokens_per_minute: 40 };
  const ofOne = ['"key.requests_per_minute";q=3;w=60', '"key.requests_per_minute";r=2;t=0'];
  const ofTwo = [
    `${ofOne[0]}, "key.tokens_per_minute";q=40;qu="tokens";w=60`,
    `${ofOne[1]}, "key.tokens_per_minute";r=39;t=0`,
  ];
  expect(shown('key', two)).toEqual(ofTwo);
  expect(shown('key', one)).toEqual(ofOne);
  expect(shown('key', two)).toEqual(ofTwo);
  expect(shown('team', one)).toEqual(ofOne.map((text) => text.replace('key', 'team')));
  expect(shown('key', { requests_per_minute: 4 })[0]).toBe('"key.requests_per_minute";q=4;w=60');
  expect(shown('key', { tokens_per_minute: 40 }, two), 'of the first, only requests').toEqual(ofTwo);
});
