import { expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { Log } from '../../../src/core/log.ts';
import { Serving } from '../../../src/serving/serving.ts';
import { slotCountOf, type Target } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget, textRequest } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SCHEDULER } from '../../support/scheduling.ts';

async function start(overrides: Partial<Target>) {
  const clock = new FakeClock();
  const backend = new FakeBackend();
  backend.status = { state: 'ready', loaded: true, slots: 3 };
  const warned: string[] = [];
  const log: Log = { debug() {}, info() {}, warn: (message) => void warned.push(message), error() {} };
  const target = fakeTarget(backend, {
    slots: 1,
    status: { state: 'loading', loaded: false },
    ...overrides,
  });
  const serving = new Serving({
    clock,
    log,
    targets: [target],
    defaultModel: 'm',
    aliases: new Map(),
    lenient: false,
    scheduler: { ...SCHEDULER, maxBatchSize: 8 },
    queueTimeoutMs: 5000,
    onTokenGap: () => {},
    onFatal: () => {},
  });
  serving.start();
  await clock.settle();
  for (const id of ['a', 'b', 'c', 'd']) {
    const cancellation = new Cancellation();
    const deadlineAt = clock.now() + 60_000;
    const trace = { requestId: id, receivedAt: clock.now() };
    const call = { request: textRequest(id), trace, client: 'c', priority: 'normal' as const };
    serving.generate({ ...call, cancellation, deadlineAt }, { event: () => {}, fail: () => {} });
  }
  await clock.settle();
  await serving.close();
  return { target, running: backend.runs.length, warned };
}

it('a target whose slots are not configured has as many as its server tells', async () => {
  const { target, running, warned } = await start({});
  expect(slotCountOf(target)).toBe(3);
  expect(running).toBe(3);
  expect(warned).toEqual([]);
});

it('configured slots stay, with a warning once where the server runs another number', async () => {
  const { target, running, warned } = await start({ slots: 2, slotsConfigured: true });
  expect(slotCountOf(target)).toBe(2);
  expect(running).toBe(2);
  expect(warned).toEqual([
    'slots is 2, but the server runs 3 requests at the same time: set slots to 3 or leave it out, or start the server with 2',
  ]);
  expect((await start({ slots: 3, slotsConfigured: true })).warned).toEqual([]);
});
