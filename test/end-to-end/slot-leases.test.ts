/** Servers in processes of their own that divide the slots of one target: together they never run more there than it has. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type CountingUpstream, startCountingUpstream } from '../support/counting-upstream.ts';
import { type Replica, SLOTS, startReplica } from '../support/leased-replicas.ts';
import { MISSING_VALKEY, startValkey, type TestValkey } from '../support/valkey.ts';

/** The wall clock of a server goes so much ahead. */
const ahead = (milliseconds: number) => ({
  NODE_OPTIONS: `--import=data:text/javascript,const%20n=Date.now.bind(Date);Date.now=()=>n()+${milliseconds}`,
});

describe('servers that lease the slots of a target they share', () => {
  let valkey: TestValkey;
  let upstream: CountingUpstream;

  beforeEach(async (context) => {
    context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
    valkey = await startValkey({ endsWith: onTestFinished });
    upstream = await startCountingUpstream(onTestFinished);
  });

  const start = (name: string, flags: readonly string[] = [], environment = {}) =>
    startReplica({
      name,
      flags,
      environment,
      upstream: upstream.url,
      store: valkey.address,
      endsWith: onTestFinished,
    });

  /** So many more requests of each have come. */
  const served = async (replicas: readonly Replica[], count = 10) => {
    const before = replicas.map(({ name }) => upstream.came(name));
    for (const [index, { name }] of replicas.entries())
      await expect.poll(() => upstream.came(name)).toBeGreaterThan((before[index] ?? 0) + count);
  };

  const noneTooMany = async (replicas: readonly Replica[]) => {
    await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(SLOTS);
    expect(upstream.takeMost()).toBe(SLOTS);
    for (const replica of replicas) expect(await replica.overAdmissions()).toBe(0);
  };

  it('never run more than it has, while one is killed, one stands still, and one joins', async () => {
    const [first, killed, stopped] = await Promise.all([
      start('one'),
      start('two'),
      start('three', [], ahead(5000)),
    ]);
    const all = [first, killed, stopped];
    for (const replica of all) replica.ask(SLOTS * 2, 60);
    await served(all);

    const joined = await start('four');
    joined.ask(SLOTS * 2, 60);
    await served([...all, joined]);
    await noneTooMany([...all, joined]);

    await killed.stop('SIGKILL');
    await expect.poll(() => upstream.running('two')).toBe(0);
    await served([first, stopped, joined]);

    // All of its slots are taken for a while: it stands still with requests under way, and with none that it is just about to send.
    await stopped.stopAsking();
    stopped.ask(SLOTS / 2, 1000);
    await expect.poll(async () => upstream.running('three') === (await stopped.leased()).slots).toBe(true);
    expect(upstream.running('three')).toBeGreaterThan(0);
    stopped.signal('SIGSTOP');
    // What it held is given to the others when its lease has ended.
    await expect.poll(async () => (await first.leased()).slots + (await joined.leased()).slots).toBe(SLOTS);
    await served([first, joined]);
    stopped.signal('SIGCONT');
    await stopped.stopAsking();
    stopped.ask(SLOTS * 2, 60);
    await served([first, stopped, joined]);
    await noneTooMany([first, stopped, joined]);
    for (const replica of all) await replica.stopAsking();
    await joined.stopAsking();
  });

  it('give what an idle one does not need to a busy one, and have it back when it is asked for', async () => {
    const [busy, idle] = await Promise.all([start('busy'), start('idle')]);
    busy.ask(SLOTS * 2, 60);
    await expect.poll(() => upstream.running('busy')).toBe(SLOTS);
    idle.ask(SLOTS * 2, 60);
    await expect.poll(() => upstream.running('idle')).toBe(SLOTS / 2);
    await idle.stopAsking();
    await expect.poll(() => upstream.running('busy')).toBe(SLOTS);
    await noneTooMany([busy, idle]);
    await busy.stopAsking();
  });

  it('use even shares while the store is away, say so, and lease again when it is back, even empty', async () => {
    const all = await Promise.all([start('one'), start('two', [], ahead(-5000))]);
    for (const replica of all) replica.ask(SLOTS * 2, 60);
    await served(all);
    // Only who has been there for a lease's time knows how many share.
    for (const replica of all)
      await expect.poll(() => replica.leased()).toMatchObject({ even_share: SLOTS / 2 });
    await valkey.kill();
    for (const replica of all) {
      await replica.logged(({ msg }) => msg.includes('even share'));
      await expect.poll(() => replica.leased()).toMatchObject({ slots: SLOTS / 2, basis: 'even_share' });
    }
    await served(all);
    await valkey.restart();
    for (const replica of all) {
      await replica.logged(({ msg }) => msg.includes('is used again'));
      await expect.poll(() => replica.leased()).toMatchObject({ basis: 'lease' });
    }
    await served(all);
    await noneTooMany(all);
    for (const replica of all) await replica.stopAsking();
  });

  it('are not ready where they have started without the store, until it is back', async () => {
    await valkey.kill();
    const late = await start('late');
    const reason = async () => {
      const ready = await fetch(`${late.url}/ready`);
      expect(ready.status, 'not even before it takes the store for lost').toBe(503);
      return ((await ready.json()) as { reason: string }).reason;
    };
    await expect.poll(reason).toBe('lease_store_away');
    await late.logged(({ msg }) => msg.includes('has not been there for long enough'));
    expect(await reason()).toBe('lease_store_away');
    await valkey.restart();
    await expect.poll(async () => (await fetch(`${late.url}/ready`)).status).toBe(200);
    await expect.poll(() => late.leased()).toMatchObject({ basis: 'lease', slots: 1 });
  });

  it('go on with the leases they hold while the store stands still for less than that', async () => {
    const flags = ['--leases.lease-seconds', '8', '--leases.on-failure', 'stop'];
    const all = await Promise.all([start('one', flags), start('two', flags)]);
    for (const replica of all) replica.ask(SLOTS * 2, 60);
    await served(all);
    valkey.freeze(true);
    for (const replica of all) await replica.logged(({ msg }) => msg.includes("can't be asked"));
    await served(all);
    valkey.freeze(false);
    for (const replica of all) await replica.logged(({ msg }) => msg.includes('is used again'));
    await served(all);
    await noneTooMany(all);
    for (const replica of all) await replica.stopAsking();
  });
});
