import { describe, expect, it } from 'vitest';
import type { Limits } from '../../../src/core/limit-names.ts';
import { boundAt, rulesOf, utcPeriodsAt } from '../../../src/limits/limit-rule.ts';
import { SharedBounds } from '../../../src/limits/shared-bounds.ts';

const today = utcPeriodsAt(Date.UTC(2026, 0, 31, 12));
const tomorrow = utcPeriodsAt(Date.UTC(2026, 1, 1));

function rulesOfKey(id: string, limits: Limits) {
  return rulesOf({ scope: 'key', id, name: id }, limits);
}

describe('bounds', () => {
  it('of equal limits are one object, and of others are not', () => {
    const bounds = new SharedBounds();
    const limits = { requests_per_minute: 3, tokens_per_day: 100, token_budget_per_month: 3 };
    const of = (id: string, own: Limits) => rulesOfKey(id, own).map((rule) => bounds.of(rule, today));
    const [requests, tokens, budget] = of('a', limits);
    expect(of('b', limits)).toEqual([requests, tokens, budget]);
    for (const [index, bound] of of('c', limits).entries())
      expect(bound).toBe([requests, tokens, budget][index]);
    expect(of('d', { requests_per_minute: 4, tokens_per_minute: 100 })).toEqual([
      { kind: 'window', limit: 4, windowMs: 60_000 },
      { kind: 'window', limit: 100, windowMs: 60_000, joinWithinMs: 60 },
    ]);
  });

  it('end with the day or month for which they are asked', () => {
    const bounds = new SharedBounds();
    const [rule] = rulesOfKey('a', { token_budget_per_day: 10 });
    if (rule === undefined) throw new Error('no rule');
    for (const periods of [today, tomorrow, today])
      expect(bounds.of(rule, periods)).toEqual({ kind: 'period', limit: 10, endsAt: periods.dayEndsAt });
  });

  it('are what the limit says, of however many different ones', () => {
    const bounds = new SharedBounds();
    for (let limit = 1; limit <= 1200; limit += 1)
      for (const rule of rulesOfKey(`${limit}`, { requests_per_minute: limit }))
        expect(bounds.of(rule, today)).toEqual(boundAt(rule, today));
  });

  it('are forgotten with very many different ones, and with few are not', () => {
    const bounds = new SharedBounds();
    const of = (limit: number) =>
      rulesOfKey(`${limit}`, { requests_per_minute: limit }).map((rule) => bounds.of(rule, today))[0];
    const first = of(1);
    for (let limit = 2; limit <= 900; limit += 1) of(limit);
    expect(of(1)).toBe(first);
    for (let limit = 901; limit <= 1200; limit += 1) of(limit);
    expect(of(1)).toEqual(first);
    expect(of(1)).not.toBe(first);
  });
});
