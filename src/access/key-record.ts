/** A key as it is stored. Times are milliseconds since the Unix epoch. */
import type { Caller } from '../core/caller.ts';
import type { Limits } from '../core/limit-names.ts';
import type { Priority } from '../core/priority.ts';

export interface KeyRecord {
  /** `key_` and random digits; stays when the secret is rotated. */
  readonly id: string;
  /** Unique among the keys that are not revoked. */
  readonly name: string;
  /** The newest first. More than one while a rotation overlaps. */
  readonly secrets: readonly KeySecret[];
  readonly team: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly models: readonly string[] | undefined;
  readonly highestPriority: Priority | undefined;
  readonly limits: Limits;
  readonly mayAdmin: boolean;
  /** It may administer, or might once. It stays: who takes that away must not open the door to those without a key. */
  readonly everAdmin: boolean;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
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
export type KeyChanges = Partial<Omit<KeyRecord, 'id' | 'createdAt' | 'everAdmin'>>;

export function changedRecord(known: KeyRecord, changes: KeyChanges): KeyRecord {
  const changed = { ...known, ...changes };
  return { ...changed, everAdmin: known.everAdmin || changed.mayAdmin };
}

export function callerOfRecord(record: KeyRecord): Caller {
  const { id, name, team, labels, models, highestPriority, limits, mayAdmin } = record;
  return { id, name, source: 'store', team, labels, models, highestPriority, limits, mayAdmin };
}
