/**
 * The database, as the rest sees it: keys, usage, and the log of what administrators did. SQLite in one file, PostgreSQL for several
 * replicas, or memory, which forgets. All keep the same contract (test/contract/store).
 */
import type { KeyStore } from '../access/key-store.ts';
import { StoreError } from '../core/store-error.ts';
import type { UsageStore } from '../usage/usage-store.ts';

export type { KeyStore } from '../access/key-store.ts';
export { StoreError, type StoreFault } from '../core/store-error.ts';
export type { UsageStore } from '../usage/usage-store.ts';

export interface Store {
  readonly keys: KeyStore;
  readonly usage: UsageStore;
  readonly audit: AuditLog;
  close(): Promise<void>;
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

export function nameTaken(name: string): StoreError {
  return new StoreError('name_taken', `There is a key named ${JSON.stringify(name)} already.`);
}

export function secretTaken(): StoreError {
  return new StoreError('secret_taken', 'This key is in the store already.');
}
