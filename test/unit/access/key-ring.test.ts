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

describe('the callers of a ring', () => {
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
