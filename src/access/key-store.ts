/** The port of the database for keys. All methods reject with a StoreError. */
import type { KeyName, KeysPage, KeysQuery } from './key-page.ts';
import type { KeyChanges, KeyRecord } from './key-record.ts';

/** Of one moment: a later `changedSince` that revision misses none. */
export interface KeysAtRevision {
  readonly revision: number;
  readonly records: readonly KeyRecord[];
}

export interface KeyStore {
  /** Another number whenever a key was added or changed, by any process. Cheap: it is asked twice a second. */
  revision(): Promise<number>;
  /** Revoked ones included, in the order in which they were added. */
  list(): Promise<readonly KeyRecord[]>;
  /** Of `list`. Undefined: no key has the id `after`. */
  page(query: KeysQuery): Promise<KeysPage | undefined>;
  /** In no order; ids of no key are left out. */
  namesOf(ids: readonly string[]): Promise<readonly KeyName[]>;
  /** Those of that id or that name, in the same order: a name of revoked keys may be used again. */
  named(idOrName: string): Promise<readonly KeyRecord[]>;
  /** As `list`. */
  readAll(): Promise<KeysAtRevision>;
  /**
   * Those that were added or changed after that revision, in the order in which they were added. Undefined: that can't be told, as where keys
   * were deleted since, or the database is an older one: read them all.
   */
  changedSince(revision: number): Promise<KeysAtRevision | undefined>;
  /** Rejects with `name_taken` or `secret_taken`. */
  add(record: KeyRecord): Promise<void>;
  /**
   * In one step, for all processes. `known`: as it was read. Resolves with the changed record; undefined: there is no such key. Rejects
   * with `changed` where the key is another by now: read it again; with `name_taken` or `secret_taken`.
   */
  change(known: KeyRecord, changes: KeyChanges): Promise<KeyRecord | undefined>;
}
