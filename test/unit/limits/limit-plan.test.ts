/** Who is held to what, and what a client is told that a limit refuses. */
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../src/core/caller.ts';
import { LimitPlan, type LimitSettings, type PlannedCharges } from '../../../src/limits/limit-plan.ts';
import { refusalOf } from '../../../src/limits/limit-refusal.ts';
import type { CounterState } from '../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../src/limits/memory-limit-store.ts';
import { NO_LIMITS } from '../../support/limited-request.ts';

const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE = { requests: 60, windowSeconds: 60 };

const alice: Caller = {
  ...{ id: 'key_1', name: 'alice', source: 'store', team: 'red', labels: {}, models: undefined },
  ...{ highestPriority: undefined, limits: {}, mayAdmin: false },
};
const planned = (settings: Partial<LimitSettings>, caller: Caller | undefined = alice) =>
  new LimitPlan({ ...NO_LIMITS, ...settings }).first({ caller, addressKey: '1.2.3.4' }, NOON);
const counters = ({ charges }: PlannedCharges) => charges.map(({ counter }) => counter);
const boundsOf = ({ charges }: PlannedCharges) =>
  Object.fromEntries(charges.map(({ counter, bound }) => [counter, bound.limit]));

describe('a request', () => {
  it('is held to the limits of its key, its team, its address and the server, and not to those of its model until that is known', () => {
    const one = { requests_per_minute: 5 };
    const settings = { all: one, perKey: one, perTeam: one, perAddress: one, perModel: one };
    const first = planned(settings);
    expect(counters(first)).toEqual([
      'key:key_1:requests_per_minute',
      'team:red:requests_per_minute',
      'all:requests_per_minute',
      'address:1.2.3.4:requests_per_minute',
    ]);
    expect(first.scopes).toEqual(['key', 'team', 'all', 'address']);
    const amounts = () => ({ expected: { tokens: 7, costNano: 9 } });
    const plan = new LimitPlan({ ...NO_LIMITS, ...settings });
    const client = { caller: alice, addressKey: '1.2.3.4' };
    expect(counters(plan.second(client, { model: 'm', amounts }, NOON))).toEqual([
      'model:m:requests_per_minute',
    ]);
  });

  it('reserves at most a tenth of a limit for each answer whose length is only a guess, half for all of them, and what was asked for', () => {
    const all = { tokens_per_minute: 100, token_budget_per_day: 1005, budget_per_day: 1 };
    const plan = new LimitPlan({ ...NO_LIMITS, all });
    const reserved = (asked: number | undefined, answers = 1) => {
      const amountsOf = (tokens: number) => ({ tokens, costNano: 1000 * tokens });
      const amounts = () => ({
        expected: amountsOf(500),
        guessed: asked === undefined ? undefined : { asked: amountsOf(asked), answers },
      });
      const { charges, isGuess } = plan.second(
        { caller: undefined, addressKey: 'a' },
        { model: 'm', amounts },
        NOON,
      );
      return [charges.map(({ amount }) => amount), isGuess];
    };
    expect(reserved(1)).toEqual([[10, 101, 500_000], true]);
    expect(reserved(60)).toEqual([[60, 101, 500_000], true]);
    expect(reserved(1, 3)).toEqual([[30, 302, 500_000], true]);
    expect(reserved(1, 128)).toEqual([[50, 500, 500_000], true]);
    // What was asked for is too much itself.
    expect(reserved(101)).toEqual([[101, 101, 500_000], true]);
    expect(reserved(undefined)).toEqual([[500, 500, 500_000], false]);
  });

  it.each([
    [{ tokens_per_minute: 2000 }, 90],
    [{ token_budget_per_day: 20_000 }, 90],
  ])('gives short answers most of %j, also where the guess at them is more than all of it', (all, served) => {
    let now = 0;
    const clock = { now: () => now, wallNow: () => NOON + now };
    const store = new MemoryLimitStore({ clock, maxKeys: () => 10 });
    const plan = new LimitPlan({ ...NO_LIMITS, all });
    const amountsOf = (tokens: number) => ({ tokens, costNano: 0 });
    let count = 0;
    for (; now < 600_000; now += 1000) {
      const amounts = () => ({ expected: amountsOf(30_000), guessed: { asked: amountsOf(10), answers: 1 } });
      const { charges } = plan.second(
        { caller: undefined, addressKey: 'a' },
        { model: 'm', amounts },
        clock.wallNow(),
      );
      const { admission } = store.decide(charges);
      if (admission === undefined) continue;
      count += 1;
      store.settle(admission, [200]);
    }
    expect(count).toBeGreaterThanOrEqual(served);
  });

  it('has its amounts counted once they are known; before, something must remain', () => {
    const settings = { all: { tokens_per_minute: 100, budget_per_day: 2, requests_per_day: 3 } };
    expect(planned(settings).charges.map(({ amount }) => amount)).toEqual([1, 0, 0]);
    const plan = new LimitPlan({ ...NO_LIMITS, ...settings });
    const amounts = () => ({ expected: { tokens: 7, costNano: 9 } });
    const { charges } = plan.second({ caller: undefined, addressKey: 'a' }, { model: 'm', amounts }, NOON);
    expect(charges).toMatchObject([
      { counter: 'all:tokens_per_minute', amount: 7 },
      {
        counter: 'all:budget_per_day:2026-01-31',
        amount: 9,
        bound: { kind: 'period', limit: 2_000_000_000, endsAt: Date.UTC(2026, 1, 1) },
      },
    ]);
  });

  it('is held to what its key has itself, then to what the configuration has for its name, then to what each key has', () => {
    const perKey = { requests_per_minute: 1, requests_per_hour: 1, requests_per_day: 1 };
    const keys = { alice: { requests_per_minute: 2, requests_per_hour: 2 } };
    const configured = { ...alice, source: 'configuration', limits: { requests_per_minute: 3 } } as const;
    const heights = (caller: Caller) => Object.values(boundsOf(planned({ perKey, keys }, caller)));
    expect(heights(configured)).toEqual([3, 2, 1]);
    expect(heights({ ...configured, source: 'store' }), 'a key of the store may have any name').toEqual([
      3, 1, 1,
    ]);
    const unlucky = { ...configured, name: 'constructor', limits: {} };
    expect(heights(unlucky)).toEqual([1, 1, 1]);
  });

  it('is held to rate_limit where nothing else limits the requests of its key, or else of its address', () => {
    expect(boundsOf(planned({ rateLimit: MINUTE }))).toEqual({ 'key:key_1:rate_limit': 60 });
    const tokens = { rateLimit: MINUTE, perKey: { tokens_per_day: 9, concurrent_requests: 2 } };
    expect(counters(planned(tokens))).toContain('key:key_1:rate_limit');
    expect(counters(planned({ rateLimit: MINUTE, perKey: { requests_per_day: 9 } }))).toEqual(
      ['key:key_1:requests_per_day:'].map((name) => name.slice(0, -1)),
    );
    const addresses = new LimitPlan({ ...NO_LIMITS, rateLimit: MINUTE });
    const without = addresses.first({ caller: undefined, addressKey: '1.2.3.4' }, NOON);
    expect(boundsOf(without)).toEqual({ 'address:1.2.3.4:rate_limit': 60 });
  });

  it('is counted in another budget when a day of UTC begins', () => {
    const plan = new LimitPlan({ ...NO_LIMITS, all: { token_budget_per_day: 5 } });
    const at = (wallNow: number) => counters(plan.first({ caller: alice, addressKey: 'a' }, wallNow));
    const midnight = Date.UTC(2026, 1, 1);
    expect(at(midnight - 1)).toEqual(['all:token_budget_per_day:2026-01-31']);
    expect(at(midnight)).toEqual(['all:token_budget_per_day:2026-02-01']);
    expect(at(midnight - 1), 'the clock was set back').toEqual(['all:token_budget_per_day:2026-01-31']);
  });
});

describe('a refusal', () => {
  const of = (
    settings: Partial<LimitSettings>,
    states: readonly Partial<CounterState>[],
    amount?: number,
  ) => {
    const { rules, charges } = planned(settings);
    const known = states.map((state, index) => ({
      ...{ limit: charges[index]?.bound.limit ?? 0, remaining: 0, retryInMs: 0 },
      ...state,
    }));
    const asked = charges.map((charge) => charge.withAmount(amount ?? charge.amount));
    return refusalOf({ rules, charges: asked, states: known }, 'EUR');
  };

  it.each([
    [
      { perKey: { requests_per_minute: 3 } },
      { retryInMs: 11_001 },
      'The limit requests_per_minute of the key alice is reached: 3 requests in any 60 seconds. Retry in 12 s.',
    ],
    [
      { perTeam: { tokens_per_hour: 100 } },
      { retryInMs: 1, remaining: 1 },
      'The limit tokens_per_hour of the team red is too low for the request now: 100 tokens in any 60 minutes. Left beside what requests under way may use: 1 token; this one may use 7 tokens, less with a smaller bound of the answer. Retry in 1 s.',
    ],
    [
      { perAddress: { concurrent_requests: 1 } },
      { retryInMs: 1000 },
      'The limit concurrent_requests of this address is reached: 1 request at the same time. Retry in 1 s.',
    ],
    [
      { all: { budget_per_day: 0.25 } },
      { retryInMs: 1000 },
      'The limit budget_per_day of this server is reached with what requests under way may use: 0.25 EUR per UTC day. Retry in 1 s.',
    ],
    [
      { all: { budget_per_day: 0.25 } },
      { retryInMs: 5000 },
      'The limit budget_per_day of this server is reached: 0.25 EUR per UTC day. It begins anew at 2026-02-01T00:00:00Z.',
    ],
    [
      { all: { budget_per_month: 0 } },
      { retryInMs: Number.POSITIVE_INFINITY },
      'The limit budget_per_month of this server allows nothing: 0 EUR per UTC month.',
    ],
    [
      { all: { tokens_per_day: 5 } },
      { retryInMs: Number.POSITIVE_INFINITY, remaining: 5 },
      'The request may use 7 tokens, which the limit tokens_per_day of this server never allows: 5 tokens in any 24 hours. Send a shorter prompt, or a smaller bound of the answer.',
    ],
  ] as const)('by %j names the limit, its height, and what to do', (settings, state, message) => {
    expect(of(settings, [state], 7).message).toBe(message);
  });

  it('is that of the longest wait, and tells whether waiting helps', () => {
    const both = { perKey: { requests_per_minute: 3 }, all: { budget_per_day: 1 } };
    expect(of(both, [{ retryInMs: 2000 }, { retryInMs: 9000 }]).code).toBe('budget_exceeded');
    expect(of(both, [{}, { retryInMs: 1000 }]).code, 'held by requests under way').toBe('rate_limited');
    expect(of(both, [{ retryInMs: 9000 }, { retryInMs: 2000 }])).toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 9,
    });
    expect(of(both, [{ retryInMs: Number.POSITIVE_INFINITY }, {}]).retryAfterSeconds).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it('by no limit is that of a store that can not be asked', () => {
    expect(of({ all: { requests_per_minute: 3 } }, [{}]).code).toBe('store_unavailable');
  });
});
