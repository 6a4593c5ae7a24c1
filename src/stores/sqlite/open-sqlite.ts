/** Opens the store in a SQLite file. */
import { builtEntry } from '../../core/built-entry.ts';
import type { Store } from '../store.ts';
import { ThreadedStore } from '../threaded-store.ts';
import type { SqliteOptions } from './sqlite-database.ts';

/** Others write for milliseconds; who holds the file for longer than this keeps it for long. */
const BUSY_MS = 3000;

/** `path`: of the file, which is created where it is missing. Rejects with a StoreError. */
export function openSqlite(path: string, { busyMs = BUSY_MS }: Partial<SqliteOptions> = {}): Promise<Store> {
  const workerData: SqliteOptions = { path, busyMs };
  return ThreadedStore.open({
    entry: builtEntry('./sqlite-worker.js', import.meta.url),
    workerData,
    shown: path,
  });
}
