/** How what runs is looked at: everything once a second, some at a time. */
import { expect, it } from 'vitest';
import type { CountedCharges } from '../../../src/limits/limit-plan.ts';
import { rulesOf } from '../../../src/limits/limit-rule.ts';
import type { UsedSoFar } from '../../../src/limits/limit-store.ts';
import { LOOKED_AT_EVERY_MS, RunningCharges } from '../../../src/limits/running-charges.ts';

const RULES = rulesOf({ scope: 'all', id: '', name: '' }, { tokens_per_minute: 1000 });
const AT_ONCE = 256;

/** Turns end when the test says so. */
function setUp() {
  const timers: (() => void)[] = [];
  const nextTurns: (() => void)[] = [];
  const told: (readonly UsedSoFar[])[] = [];
  const charges = new RunningCharges({
    clock: {
      now: () => 0,
      schedule: (delayMs, run) => {
        expect(delayMs).toBe(LOOKED_AT_EVERY_MS);
        timers.push(run);
        return { cancel: () => {} };
      },
      atEndOfTurn: (run) => void nextTurns.push(run),
    },
    store: { countRunning: (running) => void told.push(running) },
    usedOf: (_, tries) => tries.length * 100,
  });
  const begin = (): CountedCharges => {
    const charge = {
      counter: 'all:tokens_per_minute',
      bound: { kind: 'window', limit: 1000, windowMs: 60_000 },
      amount: 10,
    } as const;
    const admission = { charges: [charge] };
    const counted = {
      ...{ rules: RULES, charges: [charge], scopes: [], states: [], admission },
      ...{ isSettled: false, runsAt: undefined },
    } as unknown as CountedCharges;
    const tries = [
      { model: 'm', target: 't', promptTokens: 1, cachedTokens: 0, completionTokens: 1, slotMs: 1 },
    ];
    charges.begun(counted, { consumed: { triesSoFar: () => tries } });
    return counted;
  };
  const turn = () => nextTurns.shift()?.();
  const look = () => {
    expect(timers).toHaveLength(1);
    timers.shift()?.();
  };
  return { charges, begin, look, turn, told, timers };
}

it('looks at some of what runs in a turn, and at the rest in the next ones', () => {
  const { begin, look, turn, told, timers } = setUp();
  for (let count = 0; count < 2 * AT_ONCE + 10; count += 1) begin();
  look();
  expect(told.map(({ length }) => length)).toEqual([AT_ONCE]);
  turn();
  turn();
  expect(told.map(({ length }) => length)).toEqual([AT_ONCE, AT_ONCE, 10]);
  turn();
  look();
  expect(told, 'again after a second').toHaveLength(4);
  expect(timers).toHaveLength(0);
});

it('leaves out none that still runs, whatever ends and begins meanwhile, and none that has ended is told', () => {
  const { charges, begin, look, turn, told } = setUp();
  const all = Array.from({ length: 3 * AT_ONCE }, begin);
  look();
  const ended = [...all.slice(0, 50), ...all.slice(AT_ONCE, AT_ONCE + 60), ...all.slice(-70)];
  for (const counted of ended) charges.ended(counted);
  for (let count = 0; count < 20; count += 1) begin();
  const before = new Set(told.flat().map(({ admission }) => admission));
  turn();
  turn();
  turn();
  const later = new Set(
    told
      .slice(1)
      .flat()
      .map(({ admission }) => admission),
  );
  for (const counted of all)
    if (ended.includes(counted)) expect(later.has(counted.admission)).toBe(false);
    else expect(before.has(counted.admission) || later.has(counted.admission)).toBe(true);
});

it('ends its round where nothing runs any more, and begins again with the next', () => {
  const { charges, begin, look, turn, told, timers } = setUp();
  const all = Array.from({ length: AT_ONCE + 1 }, begin);
  look();
  for (const counted of all) charges.ended(counted);
  turn();
  expect(told).toHaveLength(1);
  expect(timers).toHaveLength(0);
  begin();
  look();
  expect(told).toHaveLength(2);
});
