/** Opens the store that `access.store` names. */
import { resolve } from 'node:path';
import { MemoryStore } from './memory-store.ts';
import { SqlStore } from './sql/sql-store.ts';
import { SqliteStore } from './sqlite/sqlite-store.ts';
import { type Store, StoreError } from './store.ts';
import { MEMORY_ADDRESS, SQLITE_SCHEME } from './store-address.ts';

/** `address`: `memory:`, `sqlite:PATH`, or `postgres://…`. Rejects with a StoreError. */
export async function openStore(address: string): Promise<Store> {
  if (address === MEMORY_ADDRESS) return new MemoryStore();
  if (address.startsWith(SQLITE_SCHEME))
    return SqliteStore.open(resolve(address.slice(SQLITE_SCHEME.length)));
  if (/^postgres(ql)?:/.test(address)) return openPostgres(address);
  throw new StoreError(
    'refused',
    'access.store can’t be opened: it must be sqlite:PATH, postgres://… or memory:.',
  );
}

/** Loaded for those who use it. */
async function openPostgres(address: string): Promise<Store> {
  const { PostgresDatabase } = await import('./postgres/postgres-database.ts');
  const database = new PostgresDatabase(address);
  return SqlStore.prepare(database, database.shown);
}
