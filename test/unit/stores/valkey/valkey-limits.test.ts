/** The scripts, on a real Valkey or Redis. Time is the server's own: windows are long, or a few milliseconds that are waited for. */
import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Charge } from '../../../../src/limits/limit-store.ts';
import { ValkeyLimits } from '../../../../src/stores/valkey/limit-store.ts';
import { endingAfterAll } from '../../../support/server.ts';
import { MISSING_VALKEY, startValkey, type TestValkey } from '../../../support/valkey.ts';
import { connectedRunner, limitsOf, StoppedTime } from '../../../support/valkey-limits.ts';

const endsWith = endingAfterAll();
let server: TestValkey;
let limits: ValkeyLimits;

const HOUR_MS = 3_600_000;
const counter = () => `key:${randomUUID()}:requests`;
const windowOf = (name: string, limit: number, amount = 1, windowMs = HOUR_MS): Charge => ({
  counter: name,
  amount,
  bound: { kind: 'window', limit, windowMs },
});

describe('limits in a Valkey', () => {
  beforeAll(async () => {
    if (MISSING_VALKEY !== undefined) return;
    server = await startValkey({ endsWith });
    const runner = await connectedRunner(server.address);
    endsWith(() => runner.close());
    limits = limitsOf(runner);
  });
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it('admits up to the limit of a window, and then says when the next one is', async () => {
    const charge = windowOf(counter(), 3);
    for (const remaining of [2, 1, 0]) {
      const { admission, states } = await limits.decide([charge]);
      expect(admission).toBeDefined();
      expect(states[0]).toMatchObject({ limit: 3, remaining });
    }
    const { admission, states } = await limits.decide([charge]);
    expect(admission).toBeUndefined();
    expect(states[0]?.remaining).toBe(0);
    expect(states[0]?.retryInMs).toBeGreaterThan(HOUR_MS - 60_000);
    expect(states[0]?.retryInMs).toBeLessThanOrEqual(HOUR_MS);
  });

  // The script takes them off by the 200.
  it.each([199, 200, 201, 400, 600])(
    '%i leave a window together, and what came after them stays',
    async (leaving) => {
      const time = new StoppedTime(await connectedRunner(server.address));
      endsWith(() => time.close());
      const timed = limitsOf(time);
      const charge = windowOf(counter(), 1000);
      for (let count = 0; count < leaving; count += 1) void timed.decide([charge]);
      time.pass(1000);
      await timed.decide([charge]);
      time.pass(HOUR_MS - 1);
      const again = await timed.decide([charge]);
      expect(again.states[0]?.remaining).toBe(998);
      expect((await timed.decide([charge])).states[0]?.remaining).toBe(997);
    },
  );

  it('waits for what requests of other replicas hold of a budget, as long as those are there', async () => {
    const prefix = randomUUID();
    const runner = await connectedRunner(server.address);
    endsWith(() => runner.close());
    const [one, other] = ['one', 'other'].map((replica) => new ValkeyLimits({ runner, prefix, replica }));
    const charge: Charge = {
      counter: 'all:token_budget_per_day:2026-01-31',
      amount: 60,
      bound: { kind: 'period', limit: 100, endsAt: Date.now() + HOUR_MS },
    };
    const { admission } = (await other?.decide([charge])) ?? {};
    const waitMs = async () => (await one?.decide([charge]))?.states[0]?.retryInMs ?? 0;
    expect(await waitMs(), 'it never was announced').toBeGreaterThan(HOUR_MS / 2);
    await other?.announce(HOUR_MS);
    expect(await waitMs()).toBe(1000);
    await other?.leave();
    expect(await waitMs()).toBeGreaterThan(HOUR_MS / 2);
    await other?.announce(HOUR_MS);
    if (admission !== undefined) await other?.settle(other.settlementOf(admission, [60]));
    expect(await waitMs(), 'as much was used').toBeGreaterThan(HOUR_MS / 2);
  });

  it('counts nothing where one of several is full', async () => {
    const [wide, narrow] = [counter(), counter()];
    await limits.decide([windowOf(narrow, 1)]);
    const { admission } = await limits.decide([windowOf(wide, 10), windowOf(narrow, 1)]);
    expect(admission).toBeUndefined();
    expect((await limits.peek([windowOf(wide, 10)]))[0]?.remaining).toBe(10);
  });
});
