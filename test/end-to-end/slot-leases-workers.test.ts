/** Servers with several workers each that divide the slots of one target: the control process leases, and each worker shows it. */
import { expect, onTestFinished, test } from 'vitest';
import { startCountingUpstream } from '../support/counting-upstream.ts';
import { runExecutable } from '../support/executable.ts';
import { ask, metric } from '../support/http-client.ts';
import { type Replica, SLOTS, startReplica } from '../support/leased-replicas.ts';
import { childrenOf } from '../support/process-table.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

interface Targets {
  readonly targets: readonly { readonly slots: number; readonly lease?: unknown }[];
}

test('two servers with two workers each never run more than the target has, also when a worker or all of one is killed', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const valkey = await startValkey({ endsWith: onTestFinished });
  const upstream = await startCountingUpstream(onTestFinished);
  const [one, two] = (await Promise.all(
    ['one', 'two'].map((name) =>
      startReplica({
        ...{ name, upstream: upstream.url, store: valkey.address, endsWith: onTestFinished },
        flags: ['--server.workers', '2'],
      }),
    ),
  )) as [Replica, Replica];
  const served = async (count: number) => {
    const before = [one, two].map(({ name }) => upstream.came(name));
    for (const [index, { name }] of [one, two].entries())
      await expect.poll(() => upstream.came(name)).toBeGreaterThan((before[index] ?? 0) + count);
  };
  for (const replica of [one, two]) replica.ask(SLOTS * 2, 60);
  await served(30);
  for (const replica of [one, two])
    await expect.poll(() => replica.leased()).toMatchObject({ slots: SLOTS / 2, basis: 'lease' });

  await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(SLOTS);
  expect(upstream.takeMost()).toBe(SLOTS);
  const [worker] = childrenOf(one.pid);
  process.kill(worker?.pid ?? 0, 'SIGKILL');
  await one.logged(({ msg }) => /^worker \d+ has ended/.test(msg));
  // Its connections end with it, but which end the upstream reads first, that or the next request, is the system's affair.
  upstream.takeMost();
  await served(30);
  await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(SLOTS);
  expect(upstream.takeMost()).toBe(SLOTS);

  const lease = { basis: 'lease', slots: SLOTS / 2, replicas: 2, target_slots: SLOTS };
  for (const replica of [one, two]) {
    expect(await replica.overAdmissions()).toBe(0);
    expect(await metric(replica, 'llm_serve_slot_lease_store_up')).toBe(1);
    expect(await metric(replica, 'llm_serve_slot_lease_replicas')).toBe(2);
    const { targets } = (await ask(`${replica.url}/admin/targets`)).json<Targets>();
    expect(targets).toMatchObject([{ slots: SLOTS / 2, lease }]);
  }
  const { stdout } = await runExecutable(['status', '--server', one.url], { endsWith: onTestFinished });
  expect(stdout).toContain('4 of 8, 2 servers');

  // Its workers end with it, and so does what they had under way.
  await one.stop('SIGKILL');
  await expect.poll(() => two.leased()).toMatchObject({ slots: SLOTS, replicas: 1 });
  await expect.poll(() => upstream.running('two')).toBe(SLOTS);
  expect(upstream.running('one')).toBe(0);
  await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(SLOTS);
  expect(upstream.takeMost()).toBe(SLOTS);
  for (const replica of [one, two]) await replica.stopAsking();
});
