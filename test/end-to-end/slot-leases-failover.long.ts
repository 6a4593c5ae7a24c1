/**
 * Leases whose store fails over in the middle of them, by a sentinel and in a cluster, to a replica that has missed the last grants: what
 * it does not know of is given to nobody, and when it has heard of all that is held, it grants again.
 */
import { expect, onTestFinished, test } from 'vitest';
import { startCountingUpstream } from '../support/counting-upstream.ts';
import { type Replica, SLOTS, startReplica } from '../support/leased-replicas.ts';
import {
  MISSING_VALKEY,
  replicasAt,
  startSentinel,
  startValkey,
  type TestValkey,
} from '../support/valkey.ts';
import { startValkeyCluster } from '../support/valkey-cluster.ts';

interface Store {
  readonly address: string;
  readonly primary: TestValkey;
  readonly replica: TestValkey;
}

async function behindSentinel(): Promise<Store> {
  const primary = await startValkey({ hasPort: true, endsWith: onTestFinished });
  const args = ['--replicaof', `127.0.0.1 ${primary.port}`];
  const replica = await startValkey({ args, hasPort: true, endsWith: onTestFinished });
  await expect.poll(() => replica.command('INFO', 'replication')).toContain('master_link_status:up');
  const sentinel = await startSentinel(primary.port, onTestFinished);
  await expect.poll(() => replicasAt(sentinel)).toContain(String(replica.port));
  return { address: `valkey+sentinel://127.0.0.1:${sentinel}/limits`, primary, replica };
}

async function inCluster(): Promise<Store> {
  const { address, owner, replica } = await startValkeyCluster(onTestFinished);
  return { address, primary: owner, replica };
}

/** From now on nothing reaches the replica: a server without a password refuses one that comes with one. */
async function cutReplication({ primary, replica }: Store): Promise<void> {
  await replica.command('CONFIG', 'SET', 'masterauth', 'refused');
  await primary.command('CLIENT', 'KILL', 'TYPE', 'replica');
  await expect.poll(() => replica.command('INFO', 'replication')).toContain('master_link_status:down');
}

test.for([
  { where: 'by a sentinel', start: behindSentinel },
  { where: 'in a cluster', start: inCluster },
])('a failover $where to a replica that has missed the last grants', async ({ start }, context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const store = await start();
  const upstream = await startCountingUpstream(onTestFinished);
  const [one, two] = (await Promise.all(
    ['one', 'two'].map((name) =>
      startReplica({
        ...{ name, upstream: upstream.url, store: store.address, endsWith: onTestFinished },
      }),
    ),
  )) as [Replica, Replica];
  const half = { basis: 'lease', slots: SLOTS / 2 };
  for (const replica of [one, two]) replica.ask(SLOTS * 2, 60);
  for (const replica of [one, two]) await expect.poll(() => replica.leased()).toMatchObject(half);
  await expect.poll(() => upstream.running()).toBe(SLOTS);
  // The replica has these halves.
  await expect.poll(() => store.replica.command('DBSIZE')).toMatch(/:[1-9]/);
  await two.stopAsking();

  // What it does not get: nearly all of the slots are of the one that is busy.
  await cutReplication(store);
  await expect.poll(async () => (await one.leased()).slots).toBeGreaterThanOrEqual(SLOTS - 2);
  await expect.poll(() => upstream.running('one')).toBeGreaterThanOrEqual(SLOTS - 2);
  await store.primary.kill();
  two.ask(SLOTS * 2, 60);
  await expect
    .poll(() => store.replica.command('INFO', 'replication'), { timeout: 60_000 })
    .toContain('role:master');

  // It grants again, to both.
  for (const replica of [one, two])
    await expect.poll(() => replica.leased(), { timeout: 60_000 }).toMatchObject(half);
  const before = [one, two].map(({ name }) => upstream.came(name));
  for (const [index, { name }] of [one, two].entries())
    await expect.poll(() => upstream.came(name)).toBeGreaterThan((before[index] ?? 0) + 30);
  expect(upstream.takeMost()).toBeLessThanOrEqual(SLOTS);
  for (const replica of [one, two]) {
    expect(await replica.overAdmissions()).toBe(0);
    await replica.stopAsking();
  }
});
