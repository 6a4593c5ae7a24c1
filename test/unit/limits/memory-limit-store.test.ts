import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Charge, LimitAdmission } from '../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../src/limits/memory-limit-store.ts';
import { PlacedCharge } from '../../../src/limits/placed-charge.ts';
import { limitStoreContract } from '../../contract/limit-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { runs } from '../../support/property-runs.ts';

limitStoreContract('memory', async () => {
  const clock = new FakeClock();
  const store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
  return {
    store,
    pass: (milliseconds) => clock.pass(milliseconds),
    wallNow: () => clock.wallNow(),
    toleranceMs: 0,
    close: () => store.close(),
  };
});

const HOUR_MS = 3_600_000;
const WINDOW_MS = 100;

interface Noted {
  readonly at: number;
  amount: number;
}

/** What any sequence of requests, settlements and pauses is: `pass` first. */
const steps = fc.array(
  fc.record({
    pass: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })),
    counter: fc.integer({ min: 0, max: 2 }),
    amount: fc.integer({ min: 0, max: 12 }),
    settle: fc.option(fc.record({ which: fc.nat(), amount: fc.integer({ min: 0, max: 20 }) })),
  }),
  { maxLength: 60 },
);

describe('the counters in memory', () => {
  it('count what is settled after a counter, of which nothing was known, was dropped as idle', () => {
    const clock = new FakeClock();
    const store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
    const tokens = (amount: number) => charge('key:a:tokens', 10, amount);
    store.decide([tokens(1)]);
    clock.pass(WINDOW_MS - 10);
    const { admission } = store.decide([tokens(0)]);
    clock.pass(20);
    for (let other = 0; store.size > 0 && other < 10; other += 1)
      store.decide([charge('key:b:tokens', 10, 0)]);
    if (admission === undefined) throw new Error('refused');
    store.settle(admission, [7]);
    expect(store.decide([tokens(3)]).states[0]?.remaining).toBe(0);
  });

  it('decide as a list of all that was ever admitted would', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20 }), (made, limit) => {
        const clock = new FakeClock();
        const store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
        const model = new Map<number, Noted[]>();
        const open: { admission: LimitAdmission; noted: Noted; all: Noted[] }[] = [];
        for (const { pass, counter, amount, settle } of made) {
          clock.pass(pass);
          if (settle !== null && open.length > 0) {
            const [settled] = open.splice(settle.which % open.length, 1);
            if (settled !== undefined) {
              store.settle(settled.admission, [settle.amount]);
              const more = settle.amount - settled.noted.amount;
              if (more > 0) settled.all.push({ at: clock.now(), amount: more });
              else settled.noted.amount = settle.amount;
            }
          }
          const noted = model.get(counter) ?? [];
          model.set(counter, noted);
          const used = noted
            .filter(({ at }) => at > clock.now() - WINDOW_MS)
            .reduce((sum, each) => sum + each.amount, 0);
          const { admission, states } = store.decide([charge(`key:${counter}:tokens`, limit, amount)]);
          expect(admission !== undefined).toBe(used + Math.max(1, amount) <= limit);
          const counted = admission === undefined ? 0 : amount;
          expect(states[0]?.remaining).toBe(Math.max(0, limit - used - counted));
          if (admission === undefined) continue;
          const entry = { at: clock.now(), amount };
          noted.push(entry);
          open.push({ admission, noted: entry, all: noted });
        }
      }),
      runs(500),
    );
  });

  it('admit exactly when they said they would, and not before', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20 }), (made, limit) => {
        const clock = new FakeClock();
        const store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
        for (const { pass, amount } of made) {
          clock.pass(pass);
          const asked = charge('key:a:tokens', limit, amount);
          const { admission, states } = store.decide([asked]);
          const retryInMs = states[0]?.retryInMs ?? 0;
          if (admission !== undefined || retryInMs === Number.POSITIVE_INFINITY) continue;
          expect(retryInMs).toBeGreaterThan(0);
          if (retryInMs > 1) {
            clock.pass(retryInMs - 1);
            expect(store.decide([asked]).admission).toBeUndefined();
            clock.pass(1);
          } else clock.pass(retryInMs);
          expect(store.decide([asked]).admission).toBeDefined();
        }
      }),
      runs(300),
    );
  });

  it('never admit more, and refuse for at most the joining time longer, where amounts are joined', () => {
    const joinWithinMs = 10;
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 40 }), (made, limit) => {
        const clock = new FakeClock();
        const store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
        const noted: Noted[] = [];
        for (const { pass, amount } of made) {
          clock.pass(pass);
          const asked = {
            ...charge('key:a:tokens', limit, amount),
            bound: { kind: 'window', limit, windowMs: WINDOW_MS, joinWithinMs } as const,
          };
          const { admission } = store.decide([asked]);
          const sumSince = (since: number) =>
            noted.filter(({ at }) => at > since).reduce((sum, each) => sum + each.amount, 0);
          const now = clock.now();
          const wanted = Math.max(1, amount);
          if (admission !== undefined) expect(sumSince(now - WINDOW_MS) + wanted).toBeLessThanOrEqual(limit);
          else expect(sumSince(now - WINDOW_MS - joinWithinMs) + wanted).toBeGreaterThan(limit);
          if (admission !== undefined) noted.push({ at: now, amount });
        }
      }),
      runs(500),
    );
  });

  it('never ask to wait longer than the window, whatever the fractions of the clock', () => {
    for (const at of [62_891.53747, 103_077.0401, 524_287.9123, 700_000.1, 999_999.7]) {
      const store = new MemoryLimitStore({
        clock: { now: () => at, wallNow: () => at },
        maxKeys: () => 10,
      });
      const { states } = store.decide([charge('key:a:requests', 1, 1, 60_000)]);
      expect(states[0]?.retryInMs).toBe(60_000);
    }
  });

  it('are swept when idle, as others come', () => {
    const { clock, store } = opened(1000);
    for (let index = 0; index < 500; index += 1) store.decide([charge(`address:old${index}:rate_limit`, 3)]);
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 260; index += 1) store.decide([charge(`address:new${index}:rate_limit`, 3)]);
    expect(store.size).toBe(260);
  });

  it('are swept when idle though no others come', () => {
    const { clock, store } = opened(1000);
    for (let index = 0; index < 100; index += 1) store.decide([charge(`address:old${index}:rate_limit`, 3)]);
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 350; index += 1) store.decide([charge('key:a:requests', 1000)]);
    expect(store.size).toBe(1);
  });

  it('are at most maxKeys of a scope and kind: beyond, new ones share a count, and none that is in use is forgotten', () => {
    const { clock, store } = opened(2);
    const admits = (name: string) =>
      store.decide([charge(`address:${name}:rate_limit`, 2)]).admission !== undefined;
    expect([admits('a'), admits('b')]).toEqual([true, true]);
    expect([admits('c'), admits('d'), admits('e'), admits('c')]).toEqual([true, true, false, false]);
    expect([admits('a'), admits('a'), admits('b'), admits('b')]).toEqual([true, false, true, false]);
    // Another scope has room of its own: a flood of addresses does not touch keys.
    expect(store.decide([charge('key:alice:rate_limit', 2)]).states[0]?.remaining).toBe(1);
    expect(store.size).toBe(3);
    clock.pass(WINDOW_MS);
    expect([admits('c'), admits('c'), admits('c')]).toEqual([true, true, false]);
  });

  it('make room for a new one as soon as any is idle, though others were used later', () => {
    const { clock, store } = opened(3);
    const ask = (name: string) =>
      store.decide([charge(`address:${name}:rate_limit`, 5)]).states[0]?.remaining;
    ask('a');
    ask('b');
    ask('c');
    clock.pass(50);
    ask('a');
    ask('b');
    clock.pass(50);
    // Only c is idle.
    expect(ask('d')).toBe(4);
    expect(ask('e')).toBe(4);
    expect(ask('f')).toBe(3);
    expect([ask('a'), ask('b'), ask('d')]).toEqual([3, 3, 3]);
  });

  it('are found at the place that a charge has for them, and by name once that one was dropped', () => {
    const { clock, store } = opened(1000);
    const placed = { ...charge('key:a:requests', 2), place: { store: undefined, number: 0, generation: 0 } };
    store.decide([placed]);
    expect(store.decide([charge('key:a:requests', 2)]).states[0]?.remaining).toBe(0);
    expect(store.decide([placed]).admission).toBeUndefined();
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 5; index += 1) store.decide([charge('key:b:requests', 100)]);
    expect(store.size, 'a was dropped').toBe(1);
    store.decide([charge('key:a:requests', 2)]);
    expect(store.decide([placed]).states[0]?.remaining).toBe(0);
    expect(store.decide([placed]).admission).toBeUndefined();
    expect(opened(1000).store.decide([placed]).states[0]?.remaining, 'another store').toBe(1);
  });

  it('are found by charges that are made of a kept one, which learns of them too', () => {
    const { clock, store } = opened(1000);
    const { counter, bound } = charge('key:a:tokens', 10);
    const kept = new PlacedCharge(counter, bound, 0);
    store.decide([kept.withAmount(4)]);
    expect(kept.store).toBe(store);
    expect(store.decide([kept]).states[0]?.remaining).toBe(6);
    expect(store.decide([kept.withAmount(5)]).states[0]?.remaining).toBe(1);
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 5; index += 1) store.decide([charge('key:b:tokens', 10, 0)]);
    store.decide([charge('key:c:tokens', 10, 9)]);
    expect(store.decide([kept.withAmount(5)]).states[0]?.remaining, 'not that of c').toBe(5);
    expect(store.peek([kept])[0]?.remaining).toBe(5);
  });

  it('of a period are dropped an hour after it is over', () => {
    const { clock, store } = opened(1000);
    const budget = (name: string, endsAt: number): Charge => ({
      counter: `key:${name}:token_budget_per_day:${endsAt}`,
      bound: { kind: 'period', limit: 10, endsAt },
      amount: 1,
    });
    const midnight = clock.wallNow() + WINDOW_MS;
    for (let index = 0; index < 50; index += 1) store.decide([budget(`a${index}`, midnight)]);
    const laterOn = midnight + 2 * HOUR_MS;
    clock.pass(HOUR_MS);
    for (let index = 0; index < 200; index += 1) store.decide([budget('a', laterOn)]);
    expect(store.size).toBe(51);
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 200; index += 1) store.decide([budget('a', laterOn)]);
    expect(store.size).toBe(1);
  });

  it('of a period still hold after the wall clock was set forward and back', () => {
    const wall = { now: 1_700_000_000_000 };
    const store = new MemoryLimitStore({
      clock: { now: () => 0, wallNow: () => wall.now },
      maxKeys: () => 10,
    });
    const bound = { kind: 'period', limit: 10, endsAt: wall.now + 1000 } as const;
    const asked = { counter: 'all:token_budget_per_day:2023-11-14', bound, amount: 10 };
    expect(store.decide([asked]).admission).toBeDefined();
    wall.now += HOUR_MS;
    for (let index = 0; index < 10; index += 1) store.peek([asked]);
    wall.now -= HOUR_MS;
    expect(store.decide([asked]).admission).toBeUndefined();
  });

  it('of a period begin with what was used before, without taking room from others until they are asked for', () => {
    const { clock, store } = opened(2);
    const endsAt = clock.wallNow() + WINDOW_MS;
    const budget = (name: string): Charge => ({
      counter: `key:${name}:token_budget_per_day:2023-11-14`,
      bound: { kind: 'period', limit: 1000, endsAt },
      amount: 1,
    });
    for (let index = 0; index < 50; index += 1) store.begin(budget(`key_${index}`).counter, 100 + index);
    expect(store.size).toBe(0);
    expect(store.peek([budget('key_7')])[0]?.remaining).toBe(893);
    expect(store.decide([budget('key_7')]).states[0]?.remaining).toBe(892);
    expect(store.decide([budget('new')]).states[0]?.remaining).toBe(999);
    expect(store.size).toBe(2);
  });

  it('take nothing from what came later, where what is settled had left and its counter was dropped', () => {
    const { clock, store } = opened(1000);
    const { admission } = store.decide([charge('key:a:tokens', 10, 5)]);
    clock.pass(WINDOW_MS);
    for (let index = 0; index < 5; index += 1) store.decide([charge('key:b:tokens', 10, 0)]);
    store.decide([charge('key:a:tokens', 10, 6)]);
    if (admission === undefined) throw new Error('refused');
    store.settle(admission, [0]);
    expect(store.peek([charge('key:a:tokens', 10, 0)])[0]?.remaining).toBe(4);
  });

  it('are told apart by their places and numbers, as some are dropped and others take those', () => {
    const asked = fc.array(
      fc.record({
        pass: fc.constantFrom(0, 7, 40, WINDOW_MS),
        counters: fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 4 }),
        amount: fc.integer({ min: 0, max: 4 }),
        settled: fc.option(fc.record({ which: fc.nat(), amount: fc.integer({ min: 0, max: 8 }) })),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(asked, (made) => {
        const { clock, store } = opened(1000);
        const places = Array.from({ length: 12 }, () => ({ store: undefined, number: 0, generation: 0 }));
        const model = Array.from({ length: 12 }, (): Noted[] => []);
        const open: { admission: LimitAdmission; noted: [number, Noted][] }[] = [];
        for (const { pass, counters, amount, settled } of made) {
          clock.pass(pass);
          const ended =
            settled === null ? undefined : open.splice(settled.which % Math.max(1, open.length), 1)[0];
          if (settled !== null && ended !== undefined) {
            store.settle(ended.admission, Array<number>(ended.noted.length).fill(settled.amount));
            for (const [counter, noted] of ended.noted) {
              const more = settled.amount - noted.amount;
              if (more > 0) model[counter]?.push({ at: clock.now(), amount: more });
              else noted.amount = settled.amount;
            }
          }
          const charges = counters.map((counter) => ({
            ...charge(`key:${counter}:tokens`, 12, amount),
            place: places[counter],
          }));
          const { admission, states } = store.decide(charges);
          const used = (counter: number) =>
            (model[counter] ?? [])
              .filter(({ at }) => at > clock.now() - WINDOW_MS)
              .reduce((sum, each) => sum + each.amount, 0);
          expect(admission !== undefined).toBe(
            counters.every((counter) => used(counter) + Math.max(1, amount) <= 12),
          );
          const noted = counters.map((counter): [number, Noted] => [counter, { at: clock.now(), amount }]);
          if (admission !== undefined) {
            open.push({ admission, noted });
            for (const [counter, each] of noted) model[counter]?.push(each);
          }
          expect(states.map(({ remaining }) => remaining)).toEqual(
            counters.map((counter) => Math.max(0, 12 - used(counter))),
          );
        }
      }),
      runs(500),
    );
  });
});

function opened(maxKeys: number) {
  const clock = new FakeClock();
  return { clock, store: new MemoryLimitStore({ clock, maxKeys: () => maxKeys }) };
}

function charge(counter: string, limit: number, amount = 1, windowMs = WINDOW_MS): Charge {
  return { counter, bound: { kind: 'window', limit, windowMs }, amount };
}
