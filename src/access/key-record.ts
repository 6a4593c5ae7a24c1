/** A key as it is stored. Times are milliseconds since the Unix epoch. */
import type { Caller } from '../core/caller.ts';

/**
 * What its callers are, and what only the store has to know. Its `id` stays when the secret is rotated; its name is unique among the keys
 * that are not revoked.
 */
export interface KeyRecord extends Omit<Caller, 'source'> {
  /** The newest first. More than one while a rotation overlaps. */
  readonly secrets: readonly KeySecret[];
  /** It may administer, or might once. It stays: who takes that away must not open the door to those without a key. */
  readonly everAdmin: boolean;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
  /** Which of its columns can't be read: it opens nothing, and can only be revoked, which makes it whole. Absent: none. */
  readonly damage?: string;
}

export interface KeySecret {
  /** Of the whole key: `hashOfKey`. */
  readonly hash: string;
  /** `shownPartOf` it; empty where a hash was imported. */
  readonly shown: string;
  readonly createdAt: number;
  /** Of a secret that was rotated out. */
  readonly expiresAt: number | undefined;
}

/** What of a key can be changed. Absent fields stay as they are. */
export type KeyChanges = Partial<Omit<KeyRecord, 'id' | 'createdAt' | 'everAdmin' | 'damage'>>;

export function changedRecord(known: KeyRecord, changes: KeyChanges): KeyRecord {
  // What is written now can be read.
  const { damage: _, ...readable } = known;
  const changed = { ...readable, ...changes };
  return { ...changed, everAdmin: known.everAdmin || changed.mayAdmin };
}

export function callerOfRecord(record: KeyRecord): Caller {
  const { id, name, team, labels, models, highestPriority, limits, mayAdmin } = record;
  return { id, name, source: 'store', team, labels, models, highestPriority, limits, mayAdmin };
}
