/**
 * The database, as the rest sees it: keys, usage, and the log of what administrators did. SQLite in one file, PostgreSQL for several
 * replicas, or memory, which forgets. All keep the same contract (test/contract/store).
 */
import type { KeyChanges, KeyRecord } from '../access/key-record.ts';
import type { UsageQuery, UsageRow, UsageSum } from '../usage/usage-row.ts';

export interface Store {
  readonly keys: KeyStore;
  readonly usage: UsageStore;
  readonly audit: AuditLog;
  close(): Promise<void>;
}

/** All reject with a StoreError. */
export interface KeyStore {
  /** Another number whenever a key was added or changed, by any process. Cheap: it is asked twice a second. */
  revision(): Promise<number>;
  /** Revoked ones included, in the order in which they were added. */
  list(): Promise<readonly KeyRecord[]>;
  /** Rejects with `name_taken` or `secret_taken`. */
  add(record: KeyRecord): Promise<void>;
  /** Resolves with the changed record; undefined: there is no such key. Rejects with `name_taken` or `secret_taken`. */
  change(id: string, changes: KeyChanges): Promise<KeyRecord | undefined>;
}

export interface UsageStore {
  /** Adds to what is there for the same hour, caller, team, model and target: all rows, or none. */
  add(rows: readonly UsageRow[]): Promise<void>;
  report(query: UsageQuery): Promise<readonly UsageSum[]>;
}

export interface AuditEntry {
  /** Since the Unix epoch. */
  readonly at: number;
  /** Who: the name of the key, `this machine`, or `command line`. */
  readonly actor: string;
  /** From where: a client's address; empty for the command line. */
  readonly address: string;
  /** `key.create`, `target.drain`, … */
  readonly action: string;
  /** What it was done to; never a secret. */
  readonly subject: string;
  /** Further facts, never a secret. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Entries are added and never changed. */
export interface AuditLog {
  add(entry: AuditEntry): Promise<void>;
  /** The newest first. `before`: only older ones. */
  list(options: {
    readonly limit: number;
    readonly before?: number | undefined;
  }): Promise<readonly AuditEntry[]>;
}

/**
 * `unavailable`: it can't be reached, is locked, or answered too late. `refused`: it does not let us in, or does not let us write.
 * `full`: no space is left. `corrupt`: it is not, or is no longer, a database of ours. `too_new`: a newer version of llm-serve wrote it.
 */
export type StoreFault =
  | 'unavailable'
  | 'refused'
  | 'full'
  | 'corrupt'
  | 'too_new'
  | 'name_taken'
  | 'secret_taken';

export class StoreError extends Error {
  readonly fault: StoreFault;

  /** `message`: for operators; it names the store without its password. */
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}
