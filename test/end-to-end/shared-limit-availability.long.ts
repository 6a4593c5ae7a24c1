/** Limits that outlive the server that counted them: behind a sentinel, and in a cluster. */
import { expect, it, onTestFinished } from 'vitest';
import type { Charge } from '../../src/limits/limit-store.ts';
import type { SharedLimitStore } from '../../src/stores/valkey/shared-limit-store.ts';
import { type OpenedLimits, openLimits, UNDECIDED } from '../support/shared-limits.ts';
import {
  MISSING_VALKEY,
  replicasAt,
  startSentinel,
  startValkey,
  type TestValkey,
} from '../support/valkey.ts';
import { startValkeyCluster } from '../support/valkey-cluster.ts';

const LIMIT = 10;
const charge: Charge = {
  counter: 'key:one:requests_per_hour',
  amount: 1,
  bound: { kind: 'window', limit: LIMIT, windowMs: 3_600_000 },
};

const start = (...args: readonly string[]): Promise<TestValkey> =>
  startValkey({ args, hasPort: true, endsWith: onTestFinished });

async function admit(store: SharedLimitStore, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    expect((await store.decide([charge])).admission).toBeDefined();
}

/** With a time-out that a server in use keeps, also on a busy machine. */
async function goesAway({ store, settings }: OpenedLimits): Promise<void> {
  settings.timeoutMs = 500;
  await expect
    .poll(async () => {
      await store.decide([{ ...charge, amount: 0 }]);
      return store.isUp;
    })
    .toBe(false);
}

async function remainingOf(store: SharedLimitStore): Promise<number | undefined> {
  return (await store.peek([charge]))[0]?.remaining;
}

it('a replica that a sentinel makes the primary goes on counting', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const primary = await start();
  const replica = await start('--replicaof', `127.0.0.1 ${primary.port}`);
  await expect.poll(() => replica.command('INFO', 'replication')).toContain('master_link_status:up');
  const sentinel = await startSentinel(primary.port, onTestFinished);
  await expect.poll(() => replicasAt(sentinel)).toContain(String(replica.port));
  const opened = await openLimits(`valkey+sentinel://127.0.0.1:${sentinel}/limits`);
  const { store, failures, isUp } = opened;
  await admit(store, 4);
  await expect.poll(() => replica.command('DBSIZE')).toMatch(/:[1-9]/);
  await primary.kill();
  await goesAway(opened);
  expect(await store.decide([charge])).toMatchObject(UNDECIDED);
  await isUp(true);
  expect(await remainingOf(store)).toBe(LIMIT - 4);
  await admit(store, LIMIT - 4);
  expect((await store.decide([charge])).admission).toBeUndefined();
  expect(failures.size).toBeGreaterThan(0);
});

it('a cluster of three, of which the node that counts is lost, goes on counting in its replica', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const { address, owner, replica: spare } = await startValkeyCluster(onTestFinished);
  const opened = await openLimits(address);
  const { store, isUp } = opened;
  await isUp(true);
  await admit(store, 4);
  await expect.poll(() => spare.command('DBSIZE')).toMatch(/:[1-9]/);
  await owner.kill();
  await goesAway(opened);
  expect(await store.decide([charge])).toMatchObject(UNDECIDED);
  await isUp(true);
  expect(await remainingOf(store)).toBe(LIMIT - 4);
  await admit(store, LIMIT - 4);
  expect((await store.decide([charge])).admission).toBeUndefined();
});
