/** Opens the store in a SQLite file. */
import { builtEntry } from '../../core/built-entry.ts';
import { withReadingThread } from '../reading-thread.ts';
import type { Store, StoreOpening } from '../store.ts';
import { ThreadedStore } from '../threaded-store.ts';
import type { SqliteOptions } from './sqlite-database.ts';

/** Others write for milliseconds; who holds the file for longer than this keeps it for long. */
const BUSY_MS = 3000;

/** `path`: of the file, which is created where it is missing, but to be read. Rejects with a StoreError. */
export async function openSqlite(
  path: string,
  { busyMs = BUSY_MS, access = 'write' }: Partial<SqliteOptions> = {},
  opening: StoreOpening = 'now',
): Promise<Store> {
  const store = await openThread({ path, busyMs, access }, opening);
  if (access === 'read') return store;
  return withReadingThread(store, () => openThread({ path, busyMs, access: 'read' }, 'now'));
}

function openThread(workerData: SqliteOptions, opening: StoreOpening): Promise<Store> {
  const entry = builtEntry('./sqlite-worker.js', import.meta.url);
  return ThreadedStore.open({ entry, workerData, shown: workerData.path }, opening);
}
