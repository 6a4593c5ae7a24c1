import { expect, test } from 'vitest';
import { keyOfHanded, keysToHand, ringKeys } from '../../../src/access/handed-keys.ts';
import type { KeyRecord } from '../../../src/access/key-record.ts';
import { KeyRing } from '../../../src/access/key-ring.ts';
import { hashOfKey } from '../../../src/access/key-text.ts';
import { handsKeys, WantedKeys } from '../../../src/workers/handed-keys.ts';
import type { KeysToControl, KeysToWorker } from '../../../src/workers/key-messages.ts';
import { fullKey, plainKey, secret } from '../../support/stores/records.ts';

const NOW = 1_800_000_000_000;

/** With a secret that `find` finds by the key's name. */
const named = (name: string, changes: Partial<KeyRecord> = {}) =>
  plainKey(name, { secrets: [secret(hashOfKey(name))], ...changes });

function ringOf(records: readonly KeyRecord[]): KeyRing {
  const ring = new KeyRing();
  ring.setStored(records);
  return ring;
}

/** Hands them over as they go through a pipe. `parts`: how many keys came in each. */
async function handed(ring: KeyRing, betweenParts: (part: number) => void = () => {}) {
  const parts: number[] = [];
  const wanted = new WantedKeys((message) => {
    expect(message satisfies KeysToControl).toEqual({ type: 'keys-wanted' });
    betweenParts(parts.length);
    hand();
  }, keyOfHanded);
  const hand = handsKeys(
    () => keysToHand(ring.stored),
    (message) => {
      parts.push(message.keys.length);
      const received = JSON.parse(JSON.stringify(message)) as KeysToWorker;
      queueMicrotask(() => wanted.receive(received));
    },
  );
  const all = await wanted.all();
  const other = new KeyRing();
  other.setHeld(ringKeys(all.keys, all.ofAll));
  return { other, parts };
}

test('a ring that was handed over finds what the other one finds, whatever became of the key', async () => {
  const two = (name: string) => [
    secret(hashOfKey(name)),
    secret(hashOfKey(`old-${name}`), { expiresAt: NOW - 1 }),
  ];
  const ring = ringOf([
    named('plain'),
    fullKey('full', { secrets: two('full'), mayAdmin: true, everAdmin: true, expiresAt: undefined }),
    named('revoked', { revokedAt: NOW - 5 }),
    named('revoked-later', { revokedAt: NOW + 5000 }),
    named('expired', { expiresAt: NOW - 1 }),
    named('expires', { expiresAt: NOW + 1000 }),
    named('damaged', { damage: 'limits' }),
    plainKey('bare', { secrets: [], damage: 'secrets' }),
  ]);
  const { other } = await handed(ring);
  const names = [...'plain full old-full revoked revoked-later expired expires damaged unknown'.split(' ')];
  for (const now of [NOW, NOW + 2000])
    for (const name of names) expect(other.find(name, now), name).toEqual(ring.find(name, now));
  expect(ring.find('full', NOW)).toMatchObject({ kind: 'known', caller: { models: ['small', 'large'] } });
  expect(other.callersAfter(undefined, { most: 100, now: NOW })).toEqual(
    ring.callersAfter(undefined, { most: 100, now: NOW }),
  );
  expect([other.active, other.isShut, other.hasAdmin]).toEqual([ring.active, true, true]);
});

test('changes reach it as they reach a ring that has read the store', async () => {
  const { other } = await handed(ringOf([named('a'), named('b')]));
  other.changeStored([named('a', { revokedAt: NOW - 1 }), named('c')]);
  expect(['a', 'b', 'c'].map((name) => other.find(name, NOW).kind)).toEqual(['revoked', 'known', 'known']);
  expect(other.active).toBe(2);
});

test('many come in parts, and are those of one moment', async () => {
  const ring = ringOf(Array.from({ length: 2500 }, (_, index) => named(`n${index}`)));
  const { other, parts } = await handed(ring, (part) => {
    if (part === 1) ring.changeStored([named('n2400', { revokedAt: NOW - 1 }), named('new')]);
  });
  expect(parts).toEqual(Array.from({ length: 10 }, () => 250));
  expect(other.active).toBe(2500);
  expect([other.find('n2400', NOW).kind, other.find('new', NOW).kind]).toEqual(['known', 'unknown']);
});

test('a store without keys, and one whose keys are all gone, stay what they are', async () => {
  const none = await handed(ringOf([]));
  expect(none.other.isShut).toBe(false);
  const emptied = ringOf([named('a', { everAdmin: true })]);
  emptied.setStored([]);
  const { other } = await handed(emptied);
  expect([other.isShut, other.hasAdmin, other.active]).toEqual([true, true, 0]);
});
