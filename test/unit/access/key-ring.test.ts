import { describe, expect, it } from 'vitest';
import type { KeyRecord } from '../../../src/access/key-record.ts';
import { KeyRing } from '../../../src/access/key-ring.ts';
import { hashOfKey } from '../../../src/access/key-text.ts';

const NOW = 1_800_000_000_000;

function record(name: string, more: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id: `key_${name}`,
    name,
    secrets: [{ hash: hashOfKey(`secret-of-${name}`), shown: '', createdAt: 0, expiresAt: undefined }],
    team: undefined,
    labels: {},
    models: undefined,
    highestPriority: undefined,
    limits: {},
    mayAdmin: false,
    everAdmin: more.mayAdmin === true,
    createdAt: 0,
    expiresAt: undefined,
    revokedAt: undefined,
    ...more,
  };
}

function ringOf(...records: readonly KeyRecord[]): KeyRing {
  const ring = new KeyRing();
  ring.setStored(records);
  return ring;
}

describe('KeyRing', () => {
  it('knows keys of the store and of the configuration', () => {
    const ring = ringOf(record('alice', { team: 'red' }));
    ring.setConfigured([{ name: 'bob', key: 'secret-of-bob' }]);

    expect(ring.find('secret-of-alice', NOW)).toMatchObject({
      kind: 'known',
      caller: { id: 'key_alice', name: 'alice', team: 'red', source: 'store' },
    });
    expect(ring.find('secret-of-bob', NOW)).toMatchObject({
      kind: 'known',
      caller: { id: 'config:bob', name: 'bob', source: 'configuration', mayAdmin: false },
    });
    expect(ring.find('secret-of-carol', NOW)).toEqual({ kind: 'unknown' });
    expect(ring.find('', NOW)).toEqual({ kind: 'unknown' });
    expect(ring.active).toBe(2);
  });

  it('finds each of thousands, with both secrets of one that is rotated, and no other', () => {
    const names = Array.from({ length: 5000 }, (_, index) => `n${index}`);
    const secret = (text: string) => ({
      hash: hashOfKey(text),
      shown: '',
      createdAt: 0,
      expiresAt: undefined,
    });
    const ring = ringOf(
      ...names.map((name) => record(name, { secrets: [secret(`new-${name}`), secret(`old-${name}`)] })),
    );
    const found = (text: string) => {
      const verdict = ring.find(text, NOW);
      return verdict.kind === 'known' ? verdict.caller.name : undefined;
    };
    expect(names.map((name) => found(`new-${name}`))).toEqual(names);
    expect(names.map((name) => found(`old-${name}`))).toEqual(names);
    expect(names.filter((name) => found(`other-${name}`) !== undefined)).toEqual([]);
  });

  it('goes by the configuration where the store has the same key', () => {
    const ring = ringOf(record('bob', { revokedAt: NOW }));
    ring.setConfigured([{ name: 'bob', key: 'secret-of-bob' }]);
    expect(ring.find('secret-of-bob', NOW)).toMatchObject({ kind: 'known', caller: { id: 'config:bob' } });
  });

  it('gives the same caller each time: nothing is made for a request', () => {
    const ring = ringOf(record('alice'));
    expect(ring.find('secret-of-alice', NOW)).toBe(ring.find('secret-of-alice', NOW));
  });

  it('refuses from the moment of the end on', () => {
    const ring = ringOf(record('alice', { expiresAt: NOW }));
    expect(ring.find('secret-of-alice', NOW - 1).kind).toBe('known');
    expect(ring.find('secret-of-alice', NOW).kind).toBe('expired');
  });

  it('refuses a revoked key, also where another clock is ahead', () => {
    const ring = ringOf(record('alice', { revokedAt: NOW + 60_000 }));
    expect(ring.find('secret-of-alice', NOW).kind).toBe('revoked');
  });

  it('is shut once the store has held a key, also a revoked one, and stays so', () => {
    const ring = new KeyRing();
    expect(ring.isShut).toBe(false);
    ring.setStored([record('alice', { revokedAt: NOW })]);
    expect([ring.isShut, ring.active]).toEqual([true, 0]);
    ring.setStored([]);
    expect(ring.isShut).toBe(true);
  });

  it('is shut with a key of the configuration for as long as it is there', () => {
    const ring = new KeyRing();
    ring.setConfigured([{ name: 'bob', key: 'secret-of-bob' }]);
    expect(ring.isShut).toBe(true);
    ring.setConfigured([]);
    expect(ring.isShut).toBe(false);
  });

  it('has an administrator while a key may administer, also one that was revoked', () => {
    expect(ringOf(record('alice')).hasAdmin).toBe(false);
    expect(ringOf(record('alice', { mayAdmin: true })).hasAdmin).toBe(true);
    expect(ringOf(record('alice', { mayAdmin: true, revokedAt: NOW })).hasAdmin).toBe(true);
    expect(ringOf(record('alice', { everAdmin: true })).hasAdmin, 'it might once').toBe(true);
    const demoted = ringOf(record('alice', { mayAdmin: true }));
    demoted.setStored([record('alice')]);
    expect(demoted.hasAdmin, 'whatever the store says later').toBe(true);
    const configured = new KeyRing();
    configured.setConfigured([{ name: 'root', key: 'secret-of-root' }], { mayAdmin: true });
    expect(configured.hasAdmin).toBe(true);
  });
});

describe('changes of a ring', () => {
  const held = (...texts: readonly string[]) =>
    texts.map((text) => ({ hash: hashOfKey(text), shown: '', createdAt: 0, expiresAt: undefined }));
  const found = (ring: KeyRing, text: string) => {
    const verdict = ring.find(text, NOW);
    return verdict.kind === 'unknown' ? verdict.kind : `${verdict.kind} ${verdict.caller.name}`;
  };

  it('add keys and change those that are there; the others stay', () => {
    const ring = ringOf(record('alice'), record('bob'));
    ring.changeStored([record('carol', { mayAdmin: true }), record('bob', { revokedAt: NOW })]);
    expect(['alice', 'bob', 'carol'].map((name) => found(ring, `secret-of-${name}`))).toEqual([
      ...['known alice', 'revoked bob', 'known carol'],
    ]);
    expect([ring.active, ring.hasAdmin]).toEqual([2, true]);
    expect(ring.callers(NOW).map(({ name }) => name)).toEqual(['alice', 'carol']);
  });

  it('take secrets away, also to another key', () => {
    const ring = ringOf(record('alice', { secrets: held('one', 'two') }), record('bob'));
    ring.changeStored([
      record('bob', { secrets: held('one', 'secret-of-bob') }),
      record('alice', { secrets: held('three') }),
    ]);
    expect(['one', 'two', 'three', 'secret-of-bob'].map((text) => found(ring, text))).toEqual([
      ...['known bob', 'unknown', 'known alice', 'known bob'],
    ]);
  });

  it('come to the same as all keys read anew, however many there are', () => {
    const changing = new KeyRing();
    const records = new Map<string, KeyRecord>();
    for (let round = 0; round < 60; round += 1) {
      const changed = Array.from({ length: 40 }, (_, index) => {
        const number = (round * 29 + index * 13) % 700;
        const revokedAt = (round + index) % 5 === 0 ? NOW : undefined;
        const secrets = held(`${number}/${round}`, `${number}/${round - 1}`);
        return record(`n${number}`, { secrets, revokedAt });
      });
      for (const each of changed) records.set(each.id, each);
      changing.changeStored(changed);
    }
    const anew = ringOf(...records.values());
    expect(changing.active).toBe(anew.active);
    expect(changing.callers(NOW)).toEqual(anew.callers(NOW));
    const texts = Array.from({ length: 700 * 60 }, (_, index) => `${index % 700}/${Math.floor(index / 700)}`);
    expect(texts.filter((text) => found(changing, text) !== found(anew, text))).toEqual([]);
    expect(texts.filter((text) => found(anew, text) !== 'unknown').length).toBeGreaterThan(1000);
  });

  it('shut a ring that was open', () => {
    const ring = new KeyRing();
    ring.changeStored([]);
    expect(ring.isShut).toBe(false);
    ring.changeStored([record('alice', { revokedAt: NOW })]);
    expect(ring.isShut).toBe(true);
  });
});

describe('the callers of a ring', () => {
  it('come page by page, each once, also where keys have ended or come meanwhile', () => {
    const ring = ringOf(...['a', 'b', 'c', 'd', 'e'].map((name) => record(name)));
    ring.setConfigured(['one', 'two'].map((name) => ({ name, key: `key-${name}` })));
    const pageAfter = (after?: string) => {
      const page = ring.callersAfter(after, { most: 3, now: NOW });
      return page && { names: page.callers.map(({ name }) => name), next: page.next };
    };
    expect(pageAfter()).toEqual({ names: ['one', 'two', 'a'], next: 'key_a' });
    ring.changeStored([record('a', { revokedAt: NOW }), record('c', { expiresAt: NOW })]);
    expect(pageAfter('key_a')).toEqual({ names: ['b', 'd', 'e'], next: undefined });
    ring.changeStored([record('f')]);
    expect(pageAfter('key_a')).toEqual({ names: ['b', 'd', 'e'], next: 'key_e' });
    expect(pageAfter('key_e')).toEqual({ names: ['f'], next: undefined });
    expect(pageAfter('key_f')).toEqual({ names: [], next: undefined });
    expect(pageAfter('key_unknown')).toBeUndefined();
  });

  it('come with each of their teams on the first page that has a key of it', () => {
    const ring = ringOf(
      ...['red', 'blue', 'red', undefined, 'blue', 'green'].map((team, at) => record(`${at}`, { team })),
    );
    const teamsAfter = (after?: string) => ring.callersAfter(after, { most: 2, now: NOW })?.teams;
    expect(teamsAfter()).toEqual(['red', 'blue']);
    expect(teamsAfter('key_1')).toEqual([]);
    expect(teamsAfter('key_3')).toEqual(['green']);
    expect(ring.callersAfter(undefined, { most: 9, now: NOW })?.teams).toEqual(['red', 'blue', 'green']);
  });

  it('are those whose keys are in force, each once, also where a key has two secrets', () => {
    const ring = new KeyRing();
    ring.setConfigured([{ name: 'config', key: 'configured-key' }]);
    const secret = (text: string) => ({
      hash: hashOfKey(text),
      shown: '',
      createdAt: 0,
      expiresAt: undefined,
    });
    ring.setStored([
      record('rotated', { secrets: [secret('new'), { ...secret('old'), expiresAt: NOW + 1 }] }),
      record('revoked', { revokedAt: NOW - 1 }),
      record('expired', { expiresAt: NOW }),
      record('other'),
    ]);
    expect(ring.callers(NOW).map(({ name }) => name)).toEqual(['config', 'rotated', 'other']);
  });
});
