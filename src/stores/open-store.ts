/** Opens the store that `access.store` names. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { StoreAddressError } from '../core/store-error.ts';
import { MemoryStore } from './memory-store.ts';
import { openPostgres } from './postgres/open-postgres.ts';
import { openSqlite } from './sqlite/open-sqlite.ts';
import type { Store, StoreAccess, StoreOpening } from './store.ts';
import { MEMORY_ADDRESS, SQLITE_SCHEME } from './store-address.ts';

/** `address`: `memory:`, `sqlite:PATH`, or `postgres://…`. To be read, what was never written is empty. Rejects with a StoreError. */
export async function openStore(
  address: string,
  access: StoreAccess = 'write',
  opening: StoreOpening = 'now',
): Promise<Store> {
  if (address === MEMORY_ADDRESS) return new MemoryStore();
  if (address.startsWith(SQLITE_SCHEME)) {
    const path = resolve(address.slice(SQLITE_SCHEME.length));
    return access === 'read' && !existsSync(path) ? new MemoryStore() : openSqlite(path, { access }, opening);
  }
  if (/^postgres(ql)?:/.test(address)) return openPostgres(address, {}, access, opening);
  throw new StoreAddressError(
    'access.store can’t be opened: it must be sqlite:PATH, postgres://… or memory:.',
  );
}
