/**
 * The database, as the rest sees it: keys, usage, and the log of what administrators did. SQLite in one file, PostgreSQL for several
 * replicas, or memory, which forgets. All keep the same contract (test/contract/store).
 */
import { isDeepStrictEqual } from 'node:util';
import type { AuditLog } from '../access/audit-log.ts';
import type { KeyRecord } from '../access/key-record.ts';
import type { KeyStore } from '../access/key-store.ts';
import { StoreError } from '../core/store-error.ts';
import type { UsageStore } from '../usage/usage-store.ts';

export type { AuditEntry, AuditLog } from '../access/audit-log.ts';
export type { KeyStore } from '../access/key-store.ts';
export { StoreError, type StoreFault } from '../core/store-error.ts';
export type { UsageStore } from '../usage/usage-store.ts';

/** `write`: the tables are made, or brought up to date. `read`: nothing is changed, and writes fail. */
export type StoreAccess = 'read' | 'write';

/** `later`: by the first call, which fails where it can't be, and the next one tries again. Nothing is created: another process has opened it. */
export type StoreOpening = 'now' | 'later';

export interface Store {
  readonly keys: KeyStore;
  readonly usage: UsageStore;
  readonly audit: AuditLog;
  close(): Promise<void>;
}

export function nameTaken(name: string): StoreError {
  return new StoreError('name_taken', `There is a key named ${JSON.stringify(name)} already.`);
}

/** `stored`: as it is now; `known`: as it was read. */
export function requireUnchanged(stored: KeyRecord, known: KeyRecord): void {
  if (!isDeepStrictEqual(stored, known))
    throw new StoreError('changed', `The key ${JSON.stringify(known.name)} was changed meanwhile.`);
}

export function secretTaken(): StoreError {
  return new StoreError('secret_taken', 'This key is in the store already.');
}
