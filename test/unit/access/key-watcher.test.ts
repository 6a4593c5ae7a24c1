import { beforeEach, describe, expect, it } from 'vitest';
import { KeyAdministration } from '../../../src/access/key-administration.ts';
import { KeyRing } from '../../../src/access/key-ring.ts';
import { hashOfKey } from '../../../src/access/key-text.ts';
import { KeyWatcher } from '../../../src/access/key-watcher.ts';
import { type Log, silentLog } from '../../../src/core/log.ts';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import { StoreError } from '../../../src/stores/store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { plainKey, secret } from '../../support/stores/records.ts';

let clock: FakeClock;
let store: MemoryStore;
let keys: KeyAdministration;
let ring: KeyRing;
let lines: string[];
let changes: number;
let fails: boolean;
let asked: { revision: number; all: number; changes: number };
let isAnother: boolean;
/** As from another connection, or another machine. */
let toldRevision: number | undefined;
let watcher: KeyWatcher;

beforeEach(() => {
  clock = new FakeClock();
  store = new MemoryStore();
  keys = new KeyAdministration({ store: store.keys, now: () => clock.wallNow() });
  ring = new KeyRing();
  lines = [];
  changes = 0;
  fails = false;
  asked = { revision: 0, all: 0, changes: 0 };
  isAnother = false;
  toldRevision = undefined;
  const failOr = <Value>(work: () => Promise<Value>): Promise<Value> =>
    fails ? Promise.reject(new StoreError('unavailable', 'It is locked.')) : work();
  const log: Log = {
    ...silentLog,
    info: (message) => lines.push(`info: ${message}`),
    warn: (message) => lines.push(`warn: ${message}`),
  };
  watcher = new KeyWatcher({
    clock,
    ring,
    log,
    store: {
      revision: () => {
        asked.revision += 1;
        return failOr(async () => toldRevision ?? store.keys.revision());
      },
      readAll: () => {
        asked.all += 1;
        return failOr(() => store.keys.readAll());
      },
      changedSince: (revision) => {
        asked.changes += 1;
        return failOr(async () => (isAnother ? undefined : store.keys.changedSince(revision)));
      },
    },
    onChange: () => {
      changes += 1;
    },
  });
});

async function startToWatch(): Promise<void> {
  await watcher.start();
  watcher.watch();
}

const kindOf = (key: string) => ring.find(key, clock.wallNow()).kind;

describe('KeyWatcher', () => {
  it('has the keys of the store from the start', async () => {
    const { key } = await keys.create({ name: 'alice' });
    await startToWatch();
    expect(kindOf(key)).toBe('known');
    expect(changes).toBe(0);
  });

  it('takes new, revoked and rotated keys within half a second', async () => {
    await startToWatch();
    expect(ring.isShut).toBe(false);
    const { key } = await keys.create({ name: 'alice' });
    await clock.advance(500);
    expect(kindOf(key)).toBe('known');
    expect(ring.isShut).toBe(true);

    const { key: second } = await keys.rotate('alice', { overlapMs: 10_000 });
    await clock.advance(500);
    expect([kindOf(key), kindOf(second)]).toEqual(['known', 'known']);
    await clock.advance(10_000);
    expect([kindOf(key), kindOf(second)]).toEqual(['replaced', 'known']);

    await keys.revoke('alice');
    await clock.advance(500);
    expect([kindOf(key), kindOf(second)]).toEqual(['revoked', 'revoked']);
    expect(ring.isShut).toBe(true);
    expect(changes).toBe(3);
  });

  it('changes nothing before it is told to watch, and then has what came in between', async () => {
    await watcher.start();
    const { key } = await keys.create({ name: 'alice' });
    await clock.advance(5000);
    expect([kindOf(key), changes]).toEqual(['unknown', 0]);
    watcher.watch();
    await clock.advance(500);
    expect([kindOf(key), changes]).toEqual(['known', 1]);
  });

  it('asks for the keys only when the revision is another one', async () => {
    await startToWatch();
    await clock.advance(5000);
    expect(asked).toEqual({ revision: 11, all: 1, changes: 0 });
  });

  it('reads what has changed, and not the rest', async () => {
    const { key: alice } = await keys.create({ name: 'alice' });
    await startToWatch();
    const { key: bob } = await keys.create({ name: 'bob' });
    await keys.revoke('alice');
    await clock.advance(500);
    expect([kindOf(alice), kindOf(bob)]).toEqual(['revoked', 'known']);
    expect([asked.all, asked.changes]).toEqual([1, 1]);
  });

  it('refuses a key that can’t be read, says so once, and hears of the others', async () => {
    const { key: alice } = await keys.create({ name: 'alice' });
    await store.keys.add(
      plainKey('broken', {
        secrets: [secret(hashOfKey('sk-broken'))],
        mayAdmin: true,
        everAdmin: true,
        damage: 'limits',
      }),
    );
    await startToWatch();
    expect([kindOf(alice), kindOf('sk-broken')]).toEqual(['known', 'unreadable']);
    expect([ring.active, ring.hasAdmin]).toEqual([1, true]);
    const warning =
      'warn: The key "broken" (key_broken) can’t be read: limits. It is refused; revoke it by its id, and make another one.';
    expect(lines).toEqual([warning]);
    await keys.revoke('alice');
    isAnother = true;
    await clock.advance(500);
    expect([kindOf(alice), kindOf('sk-broken')]).toEqual(['revoked', 'unreadable']);
    expect(lines).toEqual([warning]);
    await keys.revoke('key_broken');
    await clock.advance(500);
    expect(kindOf('sk-broken')).toBe('revoked');
  });

  it('reads all keys where the store cannot tell what has changed', async () => {
    await startToWatch();
    isAnother = true;
    const { key } = await keys.create({ name: 'alice' });
    await clock.advance(500);
    expect(kindOf(key)).toBe('known');
    expect([asked.all, asked.changes]).toEqual([2, 1]);
  });

  it('reads all keys where it starts with those that the ring was given, and once', async () => {
    const { key } = await keys.create({ name: 'alice' });
    const given = new KeyRing();
    given.setStored(await store.keys.list());
    const { key: other } = await keys.create({ name: 'bob' });
    ring.setHeld(given.stored);
    fails = true;
    watcher.startWithHeld();
    watcher.watch();
    await clock.advance(1000);
    expect([kindOf(key), kindOf(other)]).toEqual(['known', 'unknown']);
    fails = false;
    await clock.advance(5000);
    expect([kindOf(key), kindOf(other)]).toEqual(['known', 'known']);
    expect([asked.all, asked.changes, changes]).toEqual([1, 0, 1]);
  });

  it('reads all keys after the store has failed: it may be another one by now', async () => {
    await startToWatch();
    fails = true;
    await clock.advance(1000);
    await keys.create({ name: 'alice' });
    fails = false;
    await clock.advance(500);
    expect([asked.all, asked.changes]).toEqual([2, 0]);
    await keys.create({ name: 'bob' });
    await clock.advance(500);
    expect([asked.all, asked.changes]).toEqual([2, 1]);
  });

  it('reads all keys after the store has failed, also at a revision that it knows', async () => {
    const { key } = await keys.create({ name: 'alice' });
    await startToWatch();
    const revision = await store.keys.revision();
    fails = true;
    await clock.advance(500);
    // One that had lost the last change, and was changed since, comes to the same number.
    store = new MemoryStore();
    keys = new KeyAdministration({ store: store.keys, now: () => clock.wallNow() });
    const { key: other } = await keys.create({ name: 'bob' });
    expect(await store.keys.revision()).toBe(revision);
    fails = false;
    await clock.advance(500);
    expect([kindOf(key), kindOf(other)]).toEqual(['unknown', 'known']);
    await clock.advance(5000);
    expect([asked.all, asked.changes, changes]).toEqual([2, 0, 1]);
  });

  it('remembers the revision of what it has read, not one that was told before or elsewhere', async () => {
    toldRevision = 7;
    await startToWatch();
    toldRevision = undefined;
    const { key: alice } = await keys.create({ name: 'alice' });
    await clock.advance(500);
    expect(kindOf(alice), 'all were read, of an older revision').toBe('known');
    toldRevision = 9;
    await clock.advance(500);
    toldRevision = undefined;
    const { key: bob } = await keys.create({ name: 'bob' });
    await clock.advance(500);
    expect(kindOf(bob), 'changes were read, of an older revision').toBe('known');
    expect(asked.all).toBe(1);
  });

  it('reads all keys where the store has a lower revision than it had', async () => {
    await keys.create({ name: 'alice' });
    await startToWatch();
    toldRevision = 0;
    await clock.advance(500);
    expect([asked.all, asked.changes]).toEqual([2, 0]);
  });

  it('keeps the last known keys while the store fails, and says so once', async () => {
    const { key } = await keys.create({ name: 'alice' });
    await startToWatch();
    fails = true;
    await clock.advance(3000);
    expect(kindOf(key)).toBe('known');
    expect(watcher.isUp).toBe(false);

    await keys.revoke('alice');
    fails = false;
    await clock.advance(500);
    expect(kindOf(key)).toBe('revoked');
    expect(watcher.isUp).toBe(true);
    expect(lines).toEqual([
      'warn: access.store can’t be read: It is locked. The keys that were known stay in force.',
      'info: access.store answers again: keys are up to date',
    ]);
  });

  it('does not start with a store that can’t be read', async () => {
    fails = true;
    await expect(watcher.start()).rejects.toThrow('It is locked.');
    expect(clock.pendingTimers).toBe(0);
  });

  it('asks one question at a time', async () => {
    await startToWatch();
    let answer: () => void = () => {};
    const slow = new KeyWatcher({
      clock,
      ring,
      log: silentLog,
      store: {
        revision: () =>
          new Promise<number>((resolve) => {
            asked.revision += 1;
            answer = () => resolve(7);
          }),
        readAll: () => store.keys.readAll(),
        changedSince: (revision) => store.keys.changedSince(revision),
      },
    });
    watcher.close();
    asked.revision = 0;
    const started = slow.start();
    answer();
    await started;
    slow.watch();
    await clock.advance(5000);
    expect(asked.revision).toBe(2);
    slow.close();
  });

  it('ends', async () => {
    await startToWatch();
    watcher.close();
    expect(clock.pendingTimers).toBe(0);
    await keys.create({ name: 'alice' });
    await clock.advance(1000);
    expect(ring.isShut).toBe(false);
  });
});
