/** Opens the store in a PostgreSQL database. */
import { builtEntry } from '../../core/built-entry.ts';
import type { Store, StoreAccess, StoreOpening } from '../store.ts';
import { ThreadedStore } from '../threaded-store.ts';
import { parsePostgresAddress } from './postgres-address.ts';
import type { PostgresOptions, PostgresTimes } from './postgres-database.ts';

/** Rejects with a StoreError; with a StoreAddressError for an address that can't be used. */
export async function openPostgres(
  address: string,
  times: Partial<PostgresTimes> = {},
  access: StoreAccess = 'write',
  opening: StoreOpening = 'now',
): Promise<Store> {
  const { shown } = parsePostgresAddress(address);
  const workerData: PostgresOptions = { address, times, access };
  const entry = builtEntry('./postgres-worker.js', import.meta.url);
  return ThreadedStore.open({ entry, workerData, shown }, opening);
}
