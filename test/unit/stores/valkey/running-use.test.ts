/** What answers use beyond their reservation, with a real Valkey or Redis that is away now and then: it is counted once, where they were admitted. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { silentLog } from '../../../../src/core/log.ts';
import { LimitGate } from '../../../../src/http/limit-gate.ts';
import type { Charge, LimitStore } from '../../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../../src/limits/memory-limit-store.ts';
import type { ScriptRunner } from '../../../../src/stores/valkey/connection.ts';
import { ValkeyFailure } from '../../../../src/stores/valkey/failure.ts';
import { ValkeyLimits } from '../../../../src/stores/valkey/limit-store.ts';
import type { OnFailure } from '../../../../src/stores/valkey/shared-limit-store.ts';
import { SharedLimitStore } from '../../../../src/stores/valkey/shared-limit-store.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { LIMITED_PATH, limitedRequest, NO_LIMITS } from '../../../support/limited-request.ts';
import { openLimits, PATIENT_MS } from '../../../support/shared-limits.ts';
import { MISSING_VALKEY, startValkey } from '../../../support/valkey.ts';
import { connectedRunner } from '../../../support/valkey-limits.ts';

const HASTY_MS = 50;
const HOUR_MS = 3_600_000;

/** The server drops budgets of days that are over: by its own clock. */
class Today extends FakeClock {
  readonly #wallNow = Date.now();

  override wallNow(): number {
    return this.#wallNow;
  }
}

function gateOver(store: LimitStore) {
  const clock = new Today();
  const gate = new LimitGate({
    clock,
    store,
    settings: {
      limits: { ...NO_LIMITS, all: { token_budget_per_day: 100_000, tokens_per_hour: 200_000 } },
      prices: {},
      currency: 'EUR',
    },
    paths: new Set([LIMITED_PATH]),
    protocolAt: () => ({}),
    onChecked: () => {},
    onDecision: () => {},
  });
  const begun = async () => {
    const request = limitedRequest();
    gate.announce(request.context);
    await gate.reserve(request.context, {
      model: 'm',
      size: () => ({ promptTokens: 100, answerTokens: 200 }),
    });
    return request;
  };
  const remaining = async () => (await gate.statesOf({})).map((row) => row.remaining);
  return { clock, gate, begun, remaining };
}

describe('what answers use beyond their reservation', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it.each<OnFailure>(['local', 'open', 'closed'])(
    'is in the shared budget, where that could not be asked while they ran (%s)',
    async (onFailure) => {
      const server = await startValkey({ args: [], endsWith: onTestFinished });
      const { store, settings, isUp } = await openLimits(server.address, onFailure);
      const { clock, gate, begun, remaining } = gateOver(store);
      const one = await begun();
      expect(await remaining()).toEqual([199_700, 99_700]);
      one.used(['m', 100, 20_000]);
      server.freeze(true);
      settings.timeoutMs = HASTY_MS;
      await clock.advance(1000);
      await store.decide([]);
      await isUp(false);
      await clock.advance(5000);
      settings.timeoutMs = PATIENT_MS;
      server.freeze(false);
      await isUp(true);
      one.used(['m', 100, 20_200]);
      gate.settle(one.context, undefined);
      await expect.poll(remaining).toEqual([179_700, 79_700]);
    },
  );

  it('stays where it was admitted: what this replica admitted alone is not counted in the server that is back', async () => {
    const server = await startValkey({ args: [], endsWith: onTestFinished });
    const { store, isUp } = await openLimits(server.address, 'local');
    const { clock, gate, begun, remaining } = gateOver(store);
    await server.kill();
    await isUp(false);
    const one = await begun();
    one.used(['m', 100, 20_000]);
    await clock.advance(1000);
    expect(await remaining()).toEqual([179_900, 79_900]);
    await server.restart();
    await isUp(true);
    one.used(['m', 100, 40_000]);
    await clock.advance(1000);
    gate.settle(one.context, undefined);
    expect(await remaining()).toEqual([200_000, 100_000]);
  });

  it('is counted of each answer that was under way when the server came back empty', async () => {
    const server = await startValkey({ args: [], endsWith: onTestFinished });
    const { store, isUp } = await openLimits(server.address, 'closed');
    const { clock, gate, begun, remaining } = gateOver(store);
    const both = [await begun(), await begun()];
    await server.kill();
    await isUp(false);
    for (const one of both) one.used(['m', 100, 400]);
    await server.restart();
    await isUp(true);
    await clock.advance(1000);
    expect(await remaining(), 'what was reserved is lost').toEqual([199_600, 99_600]);
    for (const one of both) gate.settle(one.context, undefined);
    expect((await remaining())[1]).toBe(99_000);
  });
});

describe('what a replica holds of a budget', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  /** A replica that loses answers, or all, and another that asks how long it has to wait. */
  async function replicas() {
    const server = await startValkey({ args: [], endsWith: onTestFinished });
    const connection = await connectedRunner(server.address);
    onTestFinished(() => connection.close());
    const loses: { what: 'nothing' | 'answers' | 'all' } = { what: 'nothing' };
    const run: ScriptRunner['run'] = async (...asked) => {
      const answer = loses.what === 'all' ? undefined : await connection.run(...asked);
      if (loses.what === 'nothing') return answer;
      throw new ValkeyFailure('unreachable', 'No answer came.', { mayBeDone: true });
    };
    const clock = new Today();
    const store = new SharedLimitStore({
      clock,
      log: silentLog,
      random: () => 0,
      shownAddress: server.address,
      shared: new ValkeyLimits({
        runner: { run, close: async () => {} },
        prefix: 'test',
        replica: 'one',
      }),
      runner: { close: async () => {} },
      local: new MemoryLimitStore({ clock, maxKeys: () => 10 }),
      settings: { timeoutMs: PATIENT_MS, onFailure: 'closed' },
      observer: { decided: () => {}, failed: () => {} },
    });
    onTestFinished(() => store.close());
    const other = new ValkeyLimits({ runner: connection, prefix: 'test', replica: 'other' });
    const budget = (amount: number): Charge => ({
      counter: 'all:token_budget_per_day:2026-11-28',
      bound: { kind: 'period', limit: 100, endsAt: clock.wallNow() + HOUR_MS },
      amount,
    });
    const waitMs = async (amount: number) => (await other.peek([budget(amount)]))[0]?.retryInMs;
    const isUp = (up: boolean) =>
      expect
        .poll(async () => {
          await clock.advance(1000);
          return store.isUp;
        })
        .toBe(up);
    store.connected();
    await isUp(true);
    return { store, budget, waitMs, loses, isUp, clock };
  }

  const LONG_MS = HOUR_MS - PATIENT_MS;

  it('is no more than what runs there, also where nobody knows whether a decision was made', async () => {
    const { store, budget, waitMs, loses, isUp } = await replicas();
    const { admission } = await store.decide([budget(20)]);
    loses.what = 'answers';
    expect((await store.decide([budget(60)])).admission).toBeUndefined();
    loses.what = 'nothing';
    await isUp(true);
    await expect.poll(() => waitMs(41)).toBeGreaterThan(LONG_MS);
    expect(await waitMs(40), 'what runs may give it back').toBe(1000);
    if (admission !== undefined) store.settle(admission, [20]);
    await expect.poll(() => waitMs(40)).toBeGreaterThan(LONG_MS);
  });

  it('is given back where its settlement is too old to be sent again', async () => {
    const { store, budget, waitMs, loses, isUp, clock } = await replicas();
    const { admission } = await store.decide([budget(100)]);
    loses.what = 'all';
    if (admission !== undefined) store.settle(admission, [100]);
    await isUp(false);
    expect(await waitMs(1)).toBe(1000);
    await clock.advance(60_000);
    loses.what = 'nothing';
    await isUp(true);
    await expect.poll(() => waitMs(1)).toBeGreaterThan(LONG_MS);
  });
});
