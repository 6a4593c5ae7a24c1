/** What goes wrong with a real Valkey or Redis: what decides meanwhile, what is logged and counted, and that it is used again. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Charge, LimitDecision } from '../../../../src/limits/limit-store.ts';
import { StoreError } from '../../../../src/stores/store.ts';
import type { OnFailure, SharedLimitStore } from '../../../../src/stores/valkey/shared-limit-store.ts';
import { type OpenedLimits, openLimits, PATIENT_MS, UNDECIDED } from '../../../support/shared-limits.ts';
import { startSwallowingProxy } from '../../../support/swallowing-proxy.ts';
import { MISSING_VALKEY, startValkey, type TestValkey } from '../../../support/valkey.ts';

const HOUR_MS = 3_600_000;
const HASTY_MS = 50;
const SILENCE_MS = 500;

const perHour = (limit: number, amount = 1): Charge => ({
  counter: 'key:one:requests_per_hour',
  amount,
  bound: { kind: 'window', limit, windowMs: HOUR_MS },
});
const atOnce = (limit: number): Charge => ({
  counter: 'key:one:concurrent_requests',
  amount: 1,
  bound: { kind: 'now', limit },
});

const start = (...args: readonly string[]): Promise<TestValkey> =>
  startValkey({ args, endsWith: onTestFinished });

/** Decides until nothing more is admitted. */
async function admittedOf(store: SharedLimitStore, charge: Charge): Promise<number> {
  for (let count = 0; ; count += 1) if ((await store.decide([charge])).admission === undefined) return count;
}

describe('a shared limit store', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it('that is killed is not waited for, and is used again when it is back, empty', async () => {
    const server = await start();
    const { store, logged, failures, isUp } = await openLimits(server.address);
    expect(await admittedOf(store, perHour(3))).toBe(3);
    await server.kill();
    await isUp(false);
    const decision = store.decide([perHour(3)]);
    expect(decision).not.toBeInstanceOf(Promise);
    expect(decision).toMatchObject(UNDECIDED);
    await server.restart();
    await isUp(true);
    expect(await admittedOf(store, perHour(3))).toBe(3);
    expect([...failures]).toEqual(['unreachable']);
    expect(logged).toEqual([
      `info: The limit store at ${server.address} is used.`,
      expect.stringMatching(/^warn: The limit store at unix:.* can't be used: .*limits\.on_failure/),
      `info: The limit store at ${server.address} is used again.`,
    ]);
  });

  it('that is killed while it is asked fails what is under way at once', async () => {
    const server = await start();
    const { store } = await openLimits(server.address);
    server.freeze(true);
    const decision = store.decide([perHour(3)]);
    await server.kill();
    expect(await decision).toMatchObject(UNDECIDED);
  });

  it('gets the places of what still runs back, after it came back empty', async () => {
    const server = await start();
    const { store, isUp } = await openLimits(server.address);
    const { admission } = await store.decide([atOnce(2)]);
    await server.kill();
    await isUp(false);
    await server.restart();
    await isUp(true);
    await expect.poll(async () => (await store.peek([atOnce(2)]))[0]?.remaining).toBe(1);
    if (admission) store.settle(admission, [0]);
    expect((await store.peek([atOnce(2)]))[0]?.remaining).toBe(2);
  });

  it('that does not answer in time is not asked again until it does; what it admits late is given back', async () => {
    const server = await start();
    const { store, settings, failures, isUp } = await openLimits(server.address);
    server.freeze(true);
    settings.timeoutMs = HASTY_MS;
    expect(await store.decide([perHour(3)])).toMatchObject(UNDECIDED);
    expect(store.decide([perHour(3)])).not.toBeInstanceOf(Promise);
    settings.timeoutMs = PATIENT_MS;
    server.freeze(false);
    await isUp(true);
    expect([...failures]).toContain('slow');
    await expect.poll(async () => (await store.peek([perHour(3)]))[0]?.remaining).toBe(3);
  });

  it('whose connection is dead without a word is asked over a new one', async () => {
    const server = await startValkey({ hasPort: true, endsWith: onTestFinished });
    const proxy = await startSwallowingProxy(server.port, onTestFinished);
    const address = `valkey://127.0.0.1:${proxy.port}`;
    const { store, settings, isUp } = await openLimits(address, 'closed', SILENCE_MS);
    await isUp(true);
    await store.decide([perHour(3)]);
    const before = proxy.connections();
    settings.timeoutMs = HASTY_MS;
    proxy.swallow();
    expect(await store.decide([perHour(3)])).toMatchObject(UNDECIDED);
    settings.timeoutMs = PATIENT_MS;
    await isUp(true);
    expect(proxy.connections()).toBeGreaterThan(before);
    expect((await store.peek([perHour(3)]))[0]?.remaining).toBe(2);
  });

  it('is not taken for away by a view of thousands of counters, nor by one that comes too late', async () => {
    const server = await start();
    const { store, settings, failures } = await openLimits(server.address);
    await store.decide([perHour(3)]);
    const many = Array.from({ length: 2001 }, (_, index) => ({
      ...perHour(3),
      counter: `key:${index}:rate_limit`,
    }));
    const states = await store.peek([perHour(3), ...many]);
    expect(states).toHaveLength(2002);
    expect(states.map(({ remaining }) => remaining).slice(0, 3)).toEqual([2, 3, 3]);
    const log = await server.command('INFO', 'commandstats');
    const calls = /cmdstat_evalsha:calls=(\d+)/.exec(log)?.[1];
    expect(Number(calls)).toBeGreaterThanOrEqual(21);
    server.freeze(true);
    settings.timeoutMs = HASTY_MS;
    // By this process alone: nothing is admitted by it.
    expect((await store.peek([perHour(3)]))[0]).toEqual({ limit: 3, remaining: 0, retryInMs: 0 });
    settings.timeoutMs = PATIENT_MS;
    server.freeze(false);
    expect(store.isUp).toBe(true);
    expect([...failures]).toEqual(['slow']);
    expect((await store.peek([perHour(3)]))[0]?.remaining).toBe(2);
  });

  it('that has forgotten the scripts goes on', async () => {
    const server = await start();
    const { store, failures } = await openLimits(server.address);
    await store.decide([perHour(3)]);
    await server.command('SCRIPT', 'FLUSH');
    const { admission, states } = await store.decide([perHour(3)]);
    expect(states[0]?.remaining).toBe(1);
    await server.command('SCRIPT', 'FLUSH');
    if (admission) store.settle(admission, [0]);
    await expect.poll(async () => (await store.peek([perHour(3)]))[0]?.remaining).toBe(2);
    expect(failures.size).toBe(0);
  });

  it.each([
    ['is out of memory', 'full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
    ['became a replica', 'read_only', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
  ] as const)('that %s is not used until it can write again', async (_, reason, breaks, mends) => {
    const server = await start('--maxmemory-policy', 'noeviction');
    const { store, failures, isUp } = await openLimits(server.address);
    expect(await admittedOf(store, perHour(3))).toBe(3);
    await server.command(...breaks);
    expect(await store.decide([{ ...perHour(3), counter: 'key:two:requests_per_hour' }])).toMatchObject(
      UNDECIDED,
    );
    expect(store.isUp).toBe(false);
    expect([...failures]).toContain(reason);
    await server.command(...mends);
    await isUp(true);
    expect(await admittedOf(store, perHour(3))).toBe(0);
  });

  it('that does not let us in ends the start, with an error without the password', async () => {
    const server = await start('--requirepass', 'correct horse');
    const refused = await openLimits(`${server.address}?password=battery`).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreError);
    const { message } = refused as StoreError;
    expect(message).toMatch(/^The limit store at unix:.* does not let this server in: .*Correct the user/);
    expect(message).not.toContain('battery');
    const none = await openLimits(server.address).catch((error: unknown) => error);
    expect((none as StoreError).message).toContain('does not let this server in');
    const { store } = await openLimits(`${server.address}?password=correct%20horse`);
    expect(store.isUp).toBe(true);
  });

  it('needs no more than the rights that docs/how-to/share-limits-over-replicas.md names', async () => {
    const server = await start();
    const rights = [
      '~{llm-serve}:*',
      '+@scripting',
      '+@write',
      '+@read',
      '+time',
      '+ping',
      '+info',
      '+select',
    ];
    await server.command('ACL', 'SETUSER', 'limits', 'on', '>secret', ...rights);
    const { store, failures } = await openLimits(`${server.address}?username=limits&password=secret`);
    const { admission } = await store.decide([perHour(3), atOnce(1)]);
    if (admission) store.settle(admission, [0, 0]);
    await expect.poll(async () => (await store.peek([perHour(3)]))[0]?.remaining).toBe(3);
    expect(failures.size).toBe(0);
  });

  it('whose password is changed while it runs is not used until it is the old one again', async () => {
    const server = await start();
    const { store, failures, isUp } = await openLimits(server.address);
    await server.command('CONFIG', 'SET', 'requirepass', 'new');
    await server.commands(['AUTH', 'new'], ['CLIENT', 'KILL', 'TYPE', 'normal']);
    await isUp(false);
    await expect.poll(() => [...failures]).toContain('refused');
    await server.commands(['AUTH', 'new'], ['CONFIG', 'SET', 'requirepass', '']);
    await isUp(true);
    expect(await admittedOf(store, perHour(3))).toBe(3);
  });

  it('that is away at the start is used when it comes', async () => {
    const server = await start();
    await server.kill();
    const { store, logged, isUp } = await openLimits(server.address, 'open');
    expect(await store.decide([perHour(3)])).toMatchObject({
      states: [{ limit: 3, remaining: 3, retryInMs: 0 }],
    });
    await server.restart();
    await isUp(true);
    expect(logged.map((line) => line.split(':')[0])).toEqual(['warn', 'info']);
  });

  it('is told later what requests used that ended while it was away', async () => {
    const server = await start();
    const { store, settings, isUp } = await openLimits(server.address);
    const { admission } = await store.decide([perHour(100, 60)]);
    server.freeze(true);
    settings.timeoutMs = HASTY_MS;
    await store.decide([perHour(100, 1)]);
    if (admission) store.settle(admission, [20]);
    settings.timeoutMs = PATIENT_MS;
    server.freeze(false);
    await isUp(true);
    await expect.poll(async () => (await store.peek([perHour(100)]))[0]?.remaining).toBe(80);
  });
});

describe('replicas whose limit store is away', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  /** As many replicas, of which each has seen all others, and whose server has been killed. */
  async function alone(count: number, limit: number, onFailure: OnFailure = 'local') {
    const server = await start();
    const replicas: OpenedLimits[] = [];
    for (let index = 0; index < count; index += 1) replicas.push(await openLimits(server.address, onFailure));
    for (const { store } of replicas) await expect.poll(() => store.replicas).toBe(count);
    const before = await admittedOf(replicas[0]?.store as SharedLimitStore, perHour(limit));
    await server.kill();
    for (const { isUp } of replicas) await isUp(false);
    return { server, replicas, before };
  }

  it('admit an even share of the limit each, so never more than twice the limit in the window in which it went away', async () => {
    const { replicas, before } = await alone(3, 10);
    const shares = await Promise.all(replicas.map(({ store }) => admittedOf(store, perHour(10))));
    expect(shares).toEqual([3, 3, 3]);
    expect(before + shares.reduce((sum, share) => sum + share)).toBeLessThanOrEqual(2 * 10);
  });

  it('admit one each where the limit is smaller than their number', async () => {
    const { replicas } = await alone(3, 2);
    for (const { store } of replicas) expect(await admittedOf(store, perHour(2))).toBe(1);
  });

  it('show the share that they enforce, and let what is larger wait for the server', async () => {
    const { replicas } = await alone(2, 10);
    const decision = replicas[0]?.store.decide([perHour(10, 8)]) as LimitDecision;
    expect(decision).toMatchObject({
      admission: undefined,
      states: [{ limit: 5, remaining: 5, retryInMs: 1000 }],
    });
    const never = replicas[0]?.store.decide([perHour(10, 11)]) as LimitDecision;
    expect(never.states[0]?.retryInMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('admit everything, or nothing, where that is configured', async () => {
    const { replicas } = await alone(1, 2, 'open');
    const { store, settings } = replicas[0] as OpenedLimits;
    for (let count = 0; count < 10; count += 1)
      expect(((await store.decide([perHour(2)])) as LimitDecision).admission).toBeDefined();
    settings.onFailure = 'closed';
    expect(await store.decide([perHour(2)])).toMatchObject(UNDECIDED);
  });
});
