/**
 * The keys of the store as one process of a server hands them to another: without reading the store, and as texts that are short and
 * quickly made. They hold what a ring of keys has to know, and no key: hashes only.
 */
import type { Caller } from '../core/caller.ts';
import type { HeldKey, KeyVerdict } from './held-keys.ts';
import type { StoredKey, StoredKeys } from './key-ring.ts';
import { digestOfHash, hashOfDigest } from './key-text.ts';

type End = Exclude<KeyVerdict['kind'], 'known' | 'unknown'>;

/** The time from which on it does not open the door, since the Unix epoch, and why; null: it never did, or always does. */
type HandedSecret = readonly [hash: string, endsAt: number | null, end: End];

type HandedKey = readonly [
  id: string,
  isActive: boolean,
  caller: Partial<Omit<Caller, 'id' | 'source'>> | null,
  ...secrets: readonly HandedSecret[],
];

type KeyOfRing = StoredKeys['keys'][number];

/** For those who only pass it on. */
export function keysToHand({ keys, storeHeldKeys, storeHeldAdmin }: StoredKeys) {
  return {
    count: keys.length,
    keyAt: (index: number): HandedKey => handedKey(keys[index] as KeyOfRing),
    ofAll: { storeHeldKeys, storeHeldAdmin },
  };
}

/** `ofAll`: as `keysToHand` has made it. */
export function ringKeys(keys: readonly KeyOfRing[], ofAll: Readonly<Record<string, unknown>>): StoredKeys {
  const { storeHeldKeys, storeHeldAdmin } = ofAll as ReturnType<typeof keysToHand>['ofAll'];
  return { keys, storeHeldKeys, storeHeldAdmin };
}

function handedKey([id, { isActive, held }]: KeyOfRing): HandedKey {
  const [first] = held;
  if (first === undefined) return [id, isActive, null];
  const { id: _, source, ...caller } = first.known.caller;
  return [id, isActive, caller, ...held.map(handedSecret)];
}

function handedSecret({ digest, endsAt, ended }: HeldKey): HandedSecret {
  return [hashOfDigest(digest), Number.isFinite(endsAt) ? endsAt : null, ended.kind as End];
}

/** `key`: as `keyAt` has made it. */
export function keyOfHanded(key: readonly unknown[]): KeyOfRing {
  const [id, isActive, handed, ...secrets] = key as HandedKey;
  const caller = callerOf(id, handed ?? {});
  const known = { kind: 'known', caller } as const;
  const held = secrets.map(([hash, endsAt, kind]) => ({
    digest: digestOfHash(hash),
    known,
    endsAt: endsAt ?? endlessOf(kind),
    ended: { kind, caller },
  }));
  return [id, { held, isActive } satisfies StoredKey];
}

function endlessOf(end: End): number {
  return end === 'revoked' || end === 'unreadable' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** What is undefined in it has not been sent. */
function callerOf(id: string, handed: Partial<Caller>): Caller {
  const { name = '', team, labels = {}, models, highestPriority, limits = {}, mayAdmin = false } = handed;
  return { id, name, source: 'store', team, labels, models, highestPriority, limits, mayAdmin };
}
