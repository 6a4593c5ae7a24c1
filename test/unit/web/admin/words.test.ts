/** Limits, keys and failures in words. */
import { describe, expect, test } from 'vitest';
import { LIMIT_NAMES } from '../../../../src/core/limit-names.ts';
import type { KeyView } from '../../../../web/admin/api.ts';
import { outcomeOf, troubleOf } from '../../../../web/admin/trouble.ts';
import {
  fits,
  limitName,
  limitsInWords,
  scopeInWords,
  shareUsed,
  soon,
  stateInWords,
  tightestFirst,
} from '../../../../web/admin/words.ts';
import { ApiFailure } from '../../../../web/api/failure.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const key = (changed: Partial<KeyView>) =>
  ({ expires_at: null, revoked_at: null, overlap_until: null, ...changed }) as KeyView;

test.each([
  [{}, ''],
  [{ requests_per_minute: 3, tokens_per_day: 100_000 }, '3 requests a minute, 100,000 tokens in 24 h'],
  [{ budget_per_month: 12.5, concurrent_requests: 2 }, '2 requests at once, 12.5 EUR a UTC month'],
] as const)('limits %j are “%s”', (limits, words) => expect(limitsInWords(limits, 'EUR')).toBe(words));

test('each limit has words of its own, and one that this page does not know has its name', () => {
  const words = LIMIT_NAMES.map((name) => limitName(name, 'USD'));
  expect(new Set(words).size).toBe(LIMIT_NAMES.length);
  expect(limitName('requests_per_year', 'USD')).toBe('requests per year');
});

test.each([
  [{}, 'active'],
  [{ damage: 'limits' }, 'refused: limits can’t be read'],
  [{ expires_at: '2026-06-01T12:00:00.000Z' }, 'expired'],
  [{ expires_at: '2026-06-02T12:00:00.000Z' }, 'active'],
  [
    { revoked_at: '2026-05-31T09:30:00.000Z', expires_at: '2026-01-01T00:00:00.000Z' },
    'revoked 2026-05-31 09:30',
  ],
  [{ overlap_until: '2026-06-02T12:00:00.000Z' }, 'active, the old secret until 2026-06-02 12:00'],
  [{ overlap_until: '2026-05-02T12:00:00.000Z' }, 'active'],
])('a key with %j is “%s”', (changed, words) => expect(stateInWords(key(changed), NOW)).toBe(words));

test('what is used most comes first; a limit of nothing is used up', () => {
  const state = (name: string, limit: number, remaining: number) => ({
    scope: 'all',
    name,
    limit,
    remaining,
    resets_at: null,
  });
  const states = [state('a', 10, 9), state('b', 10, 0), state('c', 0, 0), state('d', 10, 5)];
  expect(tightestFirst(states).map(({ name }) => name)).toEqual(['b', 'c', 'd', 'a']);
  expect(shareUsed(state('over', 10, -5))).toBe(1);
  expect(shareUsed(state('raised', 10, 20))).toBe(0);
});

test('a time of today is told without its day', () => {
  expect(soon('2026-06-01T14:05:00.000Z', NOW)).toBe('14:05');
  expect(soon('2026-07-01T00:00:00.000Z', NOW)).toBe('2026-07-01 00:00');
});

test('scopes are read as words', () => {
  expect(['all', 'team:red:ish', 'address'].map(scopeInWords)).toEqual([
    'the whole server',
    'team red:ish',
    'address',
  ]);
});

test('a filter’s words are all found somewhere', () => {
  expect(fits('RED ali', 'alice', 'red')).toBe(true);
  expect(fits('', null)).toBe(true);
  expect(fits('blue', 'alice', 'red')).toBe(false);
});

describe('a failure', () => {
  test.each([
    [401, 'missing_api_key', 'key'],
    [403, 'forbidden', 'key'],
    [429, 'too_many_attempts', 'key'],
    [404, 'not_found', 'elsewhere'],
    [404, 'key_not_found', 'other'],
    [503, 'store_unavailable', 'store'],
    [0, 'unreachable', 'gone'],
    [503, 'http_503', 'gone'],
    [500, 'internal', 'other'],
  ])('%i %s is “%s”', (status, code, kind) =>
    expect(troubleOf(new ApiFailure({ status, code, message: '' })).kind).toBe(kind),
  );

  test('of an action says what became of it', () => {
    const failure = (status: number, code: string) => new ApiFailure({ status, code, message: 'Words.' });
    expect(outcomeOf(failure(0, 'unreachable'))).toContain('not known');
    expect(outcomeOf(failure(503, 'store_unavailable'))).toContain('Nothing was changed');
    expect(outcomeOf(failure(409, 'name_taken'))).toBe('Words.');
  });
});
