/** Opens the store of a server, as it is configured. */
import { statSync } from 'node:fs';
import type { Config } from './config/config.ts';
import type { Log } from './core/log.ts';
import { MemoryStore } from './stores/memory-store.ts';
import { openStore } from './stores/open-store.ts';
import { type Store, StoreError, type StoreOpening } from './stores/store.ts';
import { defaultStoreAddress, SQLITE_SCHEME } from './stores/store-address.ts';
import { StoreHealth, watchedStore } from './stores/watched-store.ts';
import type { MetricFamily } from './telemetry/prometheus.ts';
import { storeFamilies } from './telemetry/store-metrics.ts';

interface StoreOptions {
  readonly config: Config;
  readonly log: Log;
  /** Where the default store is. */
  readonly dataDirectory: string;
  readonly opening?: StoreOpening;
}

interface OpenedStore {
  readonly store: Store;
  readonly families: readonly MetricFamily[];
}

/** Rejects with a StoreError where it can't be used. */
export async function openConfiguredStore(options: StoreOptions): Promise<OpenedStore> {
  const health = new StoreHealth();
  return { store: watchedStore(await openOrForget(options), health), families: storeFamilies(health) };
}

/**
 * Only where nobody configured a store, and none was ever kept, a server that may not write there runs without: containers with a
 * read-only file system start as they did before there were stores. Not with workers: each would have keys and usage of its own.
 */
async function openOrForget({ config, log, dataDirectory, opening }: StoreOptions): Promise<Store> {
  const configured = config.access.store;
  const address = configured ?? defaultStoreAddress(dataDirectory);
  try {
    return await openStore(address, 'write', opening);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (configured !== undefined || isKept(address.slice(SQLITE_SCHEME.length))) throw error;
    if (config.server.workers !== 1)
      throw new StoreError(
        error.fault,
        `${error.message} Several workers need a store that they share: name a folder that this user may write with data.directory, name a database with access.store, or set server.workers to 1.`,
      );
    log.warn(
      `${error.message} Keys, usage and the audit log are kept in memory, and are gone when the server ends. Name a folder that this user may write with data.directory, or say that this is wanted: access.store: "memory:".`,
    );
    return new MemoryStore();
  }
}

/** There is a file with something in it. */
function isKept(path: string): boolean {
  try {
    return statSync(path).size > 0;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Where the folder may not be entered, nobody knows.
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}
