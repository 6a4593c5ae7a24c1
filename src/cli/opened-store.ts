/** The database that a command's configuration names. */
import { openStore } from '../stores/open-store.ts';
import type { Store } from '../stores/store.ts';
import { type Flags, readConfig } from './read-config.ts';

/** The caller closes it. Throws a StoreError, or a ConfigError. */
export async function openConfiguredStore(flags: Flags): Promise<Store> {
  const { config } = readConfig(flags);
  return openStore(config.access.store ?? 'memory:');
}
