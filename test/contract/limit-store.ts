/** What every LimitStore must do, whatever it counts in. Each runs the same tests: see memory-limit-store.test.ts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Charge,
  type CounterState,
  type LimitAdmission,
  type LimitDecision,
  type LimitStore,
  NO_LIMIT,
} from '../../src/limits/limit-store.ts';

export interface LimitStoreWorld {
  readonly store: LimitStore;
  /** Lets that much time pass, by the store's clock. */
  pass(milliseconds: number): void | Promise<void>;
  /** By the store's clock, since the Unix epoch. */
  wallNow(): number | Promise<number>;
  /** How far a wait may be off: a store with a clock of its own goes on between two calls. */
  readonly toleranceMs: number;
  close(): Promise<void>;
}

const MINUTE_MS = 60_000;

export function limitStoreContract(name: string, open: () => Promise<LimitStoreWorld>): void {
  describe(`the limit store in ${name}`, () => {
    let world: LimitStoreWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(() => world.close());

    const decide = async (...charges: Charge[]): Promise<LimitDecision> => await world.store.decide(charges);
    const peek = async (charge: Charge): Promise<CounterState | undefined> =>
      (await world.store.peek([charge]))[0];
    const admits = async (...charges: Charge[]): Promise<boolean> =>
      (await decide(...charges)).admission !== undefined;
    const admitted = async (...charges: Charge[]): Promise<LimitAdmission> => {
      const { admission } = await decide(...charges);
      if (admission === undefined) throw new Error('refused');
      return admission;
    };
    const expectWait = (state: CounterState | undefined, milliseconds: number): void => {
      expect(state?.retryInMs).toBeLessThanOrEqual(milliseconds + 1);
      expect(state?.retryInMs).toBeGreaterThanOrEqual(milliseconds - world.toleranceMs - 1);
    };

    it('admits up to the limit, and says what remains and when the next is admitted', async () => {
      const charge = perMinute('key:a:requests_per_minute', 3);
      expect((await decide(charge)).states).toEqual([{ limit: 3, remaining: 2, retryInMs: 0 }]);
      await world.pass(10_000);
      await decide(charge);
      const third = await decide(charge);
      expect(third.admission).toBeDefined();
      expect(third.states[0]).toMatchObject({ limit: 3, remaining: 0 });
      expectWait(third.states[0], 50_000);
      const fourth = await decide(charge);
      expect(fourth.admission).toBeUndefined();
      expectWait(fourth.states[0], 50_000);
    });

    it('does not count what it refuses, which does not put off the next either', async () => {
      const charge = perMinute('key:a:requests_per_minute', 1);
      await decide(charge);
      await world.pass(30_000);
      for (let count = 0; count < 5; count += 1) expect(await admits(charge)).toBe(false);
      await world.pass(30_000);
      expect(await admits(charge)).toBe(true);
    });

    it('does not admit twice the limit where a minute of the clock ends', async () => {
      const charge = perMinute('key:a:requests_per_minute', 3);
      await world.pass(MINUTE_MS - ((await world.wallNow()) % MINUTE_MS) - 5000);
      for (let count = 0; count < 3; count += 1) expect(await admits(charge)).toBe(true);
      await world.pass(10_000);
      expect(await admits(charge)).toBe(false);
      await world.pass(40_000);
      expect(await admits(charge)).toBe(false);
      await world.pass(10_000);
      expect(await admits(charge)).toBe(true);
    });

    it('counts all charges of a decision, or none', async () => {
      const wide = perMinute('key:a:requests_per_minute', 5);
      const narrow = perMinute('team:red:requests_per_minute', 1);
      expect(await admits(wide, narrow)).toBe(true);
      const refused = await decide(wide, narrow);
      expect(refused.admission).toBeUndefined();
      expect(refused.states).toMatchObject([
        { limit: 5, remaining: 4, retryInMs: 0 },
        { limit: 1, remaining: 0 },
      ]);
      expect(await peek(wide)).toMatchObject({ remaining: 4 });
    });

    it('counts each counter by itself, whatever its name', async () => {
      const names = [
        'key:a:tokens_per_day',
        'key:b:tokens_per_day',
        'team:Ünïcode 🐟 {x}:requests_per_day',
        'address:2001:db8::/64:rate_limit',
      ];
      for (const name of names) expect(await admits(perMinute(name, 1))).toBe(true);
      for (const name of names) expect(await admits(perMinute(name, 1))).toBe(false);
    });

    it('sums amounts up', async () => {
      const of = (amount: number) => perMinute('key:a:tokens_per_minute', 1000, amount);
      expect((await decide(of(600))).states[0]).toMatchObject({ remaining: 400 });
      await world.pass(10_000);
      const refused = await decide(of(401));
      expect(refused.admission).toBeUndefined();
      expectWait(refused.states[0], 50_000);
      expect(await admits(of(400))).toBe(true);
      await world.pass(50_000);
      expect((await decide(of(600))).states[0]).toMatchObject({ remaining: 0 });
    });

    it('says that an amount above the limit is never admitted', async () => {
      const { admission, states } = await decide(perMinute('key:a:tokens_per_minute', 1000, 1001));
      expect(admission).toBeUndefined();
      expect(states[0]).toEqual({ limit: 1000, remaining: 1000, retryInMs: Number.POSITIVE_INFINITY });
    });

    it('counts nothing for an amount of 0, and refuses it where nothing remains', async () => {
      const counter = 'key:a:tokens_per_minute';
      expect((await decide(perMinute(counter, 10, 0))).states[0]).toEqual({
        limit: 10,
        remaining: 10,
        retryInMs: 0,
      });
      await decide(perMinute(counter, 10, 10));
      const refused = await decide(perMinute(counter, 10, 0));
      expect(refused.admission).toBeUndefined();
      expectWait(refused.states[0], MINUTE_MS);
    });

    it('settles with less, with more, and with nothing', async () => {
      const counter = 'key:a:tokens_per_minute';
      const less = await admitted(perMinute(counter, 1000, 500));
      const more = await admitted(perMinute(counter, 1000, 100));
      const nothing = await admitted(perMinute(counter, 1000, 300));
      world.store.settle(less, [200]);
      world.store.settle(more, [700]);
      expect(await peek(perMinute(counter, 1000))).toMatchObject({ remaining: 0 });
      world.store.settle(nothing, [0]);
      expect(await peek(perMinute(counter, 1000))).toMatchObject({ remaining: 100 });
    });

    it('takes away what is less where it was counted, and counts what is more when it is settled', async () => {
      const counter = 'key:a:tokens_per_minute';
      const less = await admitted(perMinute(counter, 100, 40));
      const more = await admitted(perMinute(counter, 100, 20));
      await world.pass(50_000);
      world.store.settle(less, [10]);
      world.store.settle(more, [90]);
      const state = await peek(perMinute(counter, 100));
      expect(state).toMatchObject({ remaining: 0 });
      expectWait(state, 10_000);
      await world.pass(10_000);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 30 });
      await world.pass(50_000);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 100 });
    });

    it('counts what is more also where the admission has left the window, and gives back nothing twice', async () => {
      const counter = 'key:a:tokens_per_minute';
      const longer = await admitted(perMinute(counter, 100, 10));
      const smaller = await admitted(perMinute(counter, 100, 10));
      await world.pass(MINUTE_MS);
      await decide(perMinute(counter, 100, 30));
      world.store.settle(smaller, [0]);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 70 });
      world.store.settle(longer, [60]);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 20 });
      await world.pass(MINUTE_MS);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 100 });
      world.store.settle(await admitted(perMinute(counter, 100, 0)), [1000]);
      expect(await peek(perMinute(counter, 100))).toMatchObject({ remaining: 0 });
    });

    it('holds a limit on tokens also where each answer takes longer than the window', async () => {
      const reserved = perMinute('key:a:tokens_per_minute', 1000, 6);
      let used = 0;
      for (let round = 0; round < 4; round += 1) {
        const { admission } = await decide(reserved);
        await world.pass(MINUTE_MS + 1000);
        if (admission === undefined) continue;
        world.store.settle(admission, [5000]);
        used += 5000;
      }
      expect(used).toBe(10_000);
    });

    it('takes a request back as if it had never come', async () => {
      const charge = perMinute('key:a:requests_per_minute', 2);
      await decide(charge);
      await world.pass(1000);
      const refusedLater = await admitted(charge);
      await world.pass(1000);
      world.store.settle(refusedLater, [0]);
      expect(await admits(charge)).toBe(true);
      const state = await peek(charge);
      expect(state).toMatchObject({ remaining: 0 });
      expectWait(state, 58_000);
    });

    it('counts a period until it ends', async () => {
      const endsAt = (await world.wallNow()) + MINUTE_MS;
      const of = (amount: number): Charge => ({
        counter: 'team:red:token_budget_per_day:2026-01-31',
        bound: { kind: 'period', limit: 100, endsAt },
        amount,
      });
      const admission = await admitted(of(60));
      expect(await admits(of(41))).toBe(false);
      const other = await admitted(of(30));
      world.store.settle(admission, [70]);
      const refused = await decide(of(0));
      expect(refused.admission).toBeUndefined();
      expect(refused.states[0]).toMatchObject({ limit: 100, remaining: 0 });
      await world.pass(59_000);
      expect(await admits(of(1))).toBe(false);
      world.store.settle(other, [10]);
      expect(await peek(of(1))).toMatchObject({ remaining: 20 });
    });

    it('says that a budget may be free soon, as long as only what requests under way hold of it is missing', async () => {
      const endsAt = (await world.wallNow()) + MINUTE_MS;
      const of = (amount: number): Charge => ({
        counter: 'team:red:token_budget_per_day:2026-02-02',
        bound: { kind: 'period', limit: 100, endsAt },
        amount,
      });
      const used = await admitted(of(50));
      world.store.settle(used, [50]);
      const underWay = [await admitted(of(30)), await admitted(of(20))] as const;
      const soon = { admission: undefined, states: [{ limit: 100, remaining: 0, retryInMs: 1000 }] };
      expect(await decide(of(0))).toEqual(soon);
      expect(await decide(of(50))).toEqual(soon);
      expect(await peek(of(1))).toEqual(soon.states[0]);
      const tooMuch = await decide(of(51));
      expect(tooMuch.admission).toBeUndefined();
      expectWait(tooMuch.states[0], MINUTE_MS);
      // As much as was reserved: it is used now, and not only held.
      world.store.settle(underWay[0], [30]);
      expectWait(await peek(of(21)), MINUTE_MS);
      expect(await peek(of(20))).toEqual(soon.states[0]);
      world.store.settle(underWay[1], [20]);
      expectWait(await peek(of(1)), MINUTE_MS);
    });

    it('takes what is counted beside any bound for used', async () => {
      const endsAt = (await world.wallNow()) + MINUTE_MS;
      const counter = 'model:m:token_budget_per_day:2026-02-02';
      const of = (limit: number): Charge => ({
        counter,
        bound: { kind: 'period', limit, endsAt },
        amount: 10,
      });
      await decide(of(NO_LIMIT));
      const refused = await decide(of(10));
      expect(refused.admission).toBeUndefined();
      expectWait(refused.states[0], MINUTE_MS);
    });

    it('counts beyond any bound what requests use while they run, and their settlement the rest', async () => {
      const endsAt = (await world.wallNow()) + 10 * MINUTE_MS;
      const counter = 'key:a:tokens_per_minute';
      const budget = (amount: number, limit = 200): Charge => ({
        counter: 'team:red:token_budget_per_day:2026-02-02',
        bound: { kind: 'period', limit, endsAt },
        amount,
      });
      const left = async () =>
        (await world.store.peek([perMinute(counter, 500), budget(0, 500)])).map(({ remaining }) => remaining);
      const one = await admitted(perMinute(counter, 100, 40), budget(50));
      const other = await admitted(perMinute(counter, 100, 40), budget(50));
      const running = (...amounts: number[]) =>
        world.store.countRunning([one, other].map((admission) => ({ admission, amounts })));
      await world.pass(30_000);
      running(30, 50);
      expect(await left()).toEqual([420, 400]);
      running(110, 120);
      expect((await decide(perMinute(counter, 100, 1))).admission).toBeUndefined();
      expect(await left()).toEqual([280, 260]);
      running(110, 125);
      expect(await left()).toEqual([280, 250]);
      // The second had been counted too high.
      world.store.settle(one, [130, 150]);
      world.store.settle(other, [100, 90]);
      expect(await left()).toEqual([270, 260]);
      // What was admitted leaves first: 40, and 30 of the other.
      await world.pass(30_000);
      expect(await left()).toEqual([340, 260]);
      await world.pass(30_000);
      expect(await left()).toEqual([500, 260]);
    });

    it('leaves what a request used while it ran as it is counted, where its settlement says so', async () => {
      const charge = perMinute('key:a:tokens_per_minute', 100, 10);
      const running: Charge = {
        counter: 'key:a:concurrent_requests',
        bound: { kind: 'now', limit: 1 },
        amount: 1,
      };
      const one = await admitted(charge, running);
      world.store.countRunning([{ admission: one, amounts: [60, 0] }]);
      world.store.settle(one, [null, 0]);
      expect((await world.store.peek([charge, running])).map(({ remaining }) => remaining)).toEqual([40, 1]);
    });

    it('counts amounts as large as money in billionths', async () => {
      const charge: Charge = {
        counter: 'all:budget_per_month:2026-01',
        bound: { kind: 'period', limit: 2_000_000_000_000_000, endsAt: (await world.wallNow()) + MINUTE_MS },
        amount: 1_234_567_890_123_456,
      };
      expect((await decide(charge)).states[0]?.remaining).toBe(765_432_109_876_544);
    });

    it.each([2e16, 1e21])('counts up to %d billionths, to 15 digits', async (limit) => {
      const of = (amount: number): Charge => ({
        counter: 'all:budget_per_month:2026-02',
        bound: { kind: 'period', limit, endsAt: 4_000_000_000_000 },
        amount,
      });
      const remaining = async () => ((await peek(of(0)))?.remaining ?? 0) / limit;
      expect(await peek(of(0))).toEqual({ limit, remaining: limit, retryInMs: 0 });
      const admission = await admitted(of(limit * 0.75));
      expect(await remaining()).toBeCloseTo(0.25, 14);
      expect(await admits(of(limit * 0.26))).toBe(false);
      world.store.settle(admission, [limit * 0.125]);
      expect(await remaining()).toBeCloseTo(0.875, 14);
      expect(await admits(of(limit * 0.5))).toBe(true);
      expect(await remaining()).toBeCloseTo(0.375, 14);
    });

    it('bounds what runs at the same time, and has room again when it ends', async () => {
      const charge: Charge = {
        counter: 'key:a:concurrent_requests',
        bound: { kind: 'now', limit: 2 },
        amount: 1,
      };
      const first = await admitted(charge);
      await decide(charge);
      const refused = await decide(charge);
      expect(refused.admission).toBeUndefined();
      expect(refused.states).toEqual([{ limit: 2, remaining: 0, retryInMs: 1000 }]);
      world.store.settle(first, [0]);
      expect(await admits(charge)).toBe(true);
    });

    it('looks without counting', async () => {
      const charge = perMinute('key:a:requests_per_minute', 1);
      for (let count = 0; count < 3; count += 1)
        expect(await peek(charge)).toEqual({ limit: 1, remaining: 1, retryInMs: 0 });
      expect(await admits(charge)).toBe(true);
      expectWait(await peek(charge), MINUTE_MS);
    });

    it('takes other limits and windows at once and forgets nothing', async () => {
      const counter = 'address:1.2.3.4:rate_limit';
      for (const at of [0, 10, 20, 30]) {
        await decide(perMinute(counter, 4));
        if (at < 30) await world.pass(10_000);
      }
      const lowered = await decide(perMinute(counter, 2));
      expect(lowered.admission).toBeUndefined();
      // Three of the four must leave.
      expectWait(lowered.states[0], 50_000);
      const shorter = { counter, bound: { kind: 'window', limit: 5, windowMs: 15_000 }, amount: 1 } as const;
      expect((await decide(shorter)).states[0]).toMatchObject({ limit: 5, remaining: 2 });
    });

    it('never admits more where it joins amounts', async () => {
      const joined = (amount: number): Charge => ({
        counter: 'key:a:tokens_per_minute',
        bound: { kind: 'window', limit: 100, windowMs: MINUTE_MS, joinWithinMs: 60 },
        amount,
      });
      const first = await admitted(joined(40));
      await world.pass(50);
      await decide(joined(60));
      // The first may stay as long as the second.
      await world.pass(MINUTE_MS - 51 - world.toleranceMs);
      expect(await admits(joined(41))).toBe(false);
      world.store.settle(first, [10]);
      expect(await peek(joined(1))).toMatchObject({ remaining: 30 });
      await world.pass(51 + world.toleranceMs);
      expect(await peek(joined(1))).toMatchObject({ remaining: 100 });
    });

    it('decides one after the other what is asked at the same time', async () => {
      const charge = perMinute('all:requests_per_minute', 25);
      const decisions = await Promise.all(Array.from({ length: 100 }, () => decide(charge)));
      expect(decisions.filter(({ admission }) => admission !== undefined)).toHaveLength(25);
      const remaining = decisions
        .filter(({ admission }) => admission !== undefined)
        .map(({ states }) => states[0]?.remaining);
      expect([...remaining].sort((one = 0, other = 0) => other - one)).toEqual(
        Array.from({ length: 25 }, (_, index) => 24 - index),
      );
    });

    it('gives the states in the order of the charges', async () => {
      const charges = [7, 5, 9, 3].map((limit) => perMinute(`key:${limit}:requests_per_minute`, limit));
      expect((await decide(...charges)).states.map(({ limit }) => limit)).toEqual([7, 5, 9, 3]);
      expect((await world.store.peek(charges)).map(({ remaining }) => remaining)).toEqual([6, 4, 8, 2]);
    });
  });
}

function perMinute(counter: string, limit: number, amount = 1): Charge {
  return { counter, bound: { kind: 'window', limit, windowMs: MINUTE_MS }, amount };
}
