/** The database that a command's configuration names. */
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { defaultDataDirectory } from '../config/environment.ts';
import { openStore } from '../stores/open-store.ts';
import type { Store, StoreAccess } from '../stores/store.ts';
import { defaultStoreAddress, MEMORY_ADDRESS } from '../stores/store-address.ts';
import { type Flags, readConfig } from './read-config.ts';

export function storeAddressOf({ access, data }: Pick<Config, 'access' | 'data'>): string {
  return access.store ?? defaultStoreAddress(data.directory ?? defaultDataDirectory());
}

/** `read`: its tables stay as they are. The caller closes it. Throws a StoreError, or a ConfigError. */
export async function openConfiguredStore(flags: Flags, access: StoreAccess): Promise<Store> {
  const address = storeAddressOf(readConfig(flags).config);
  if (address === MEMORY_ADDRESS)
    throw new ConfigError(
      'access.store is "memory:", which ends with the process that has it. Name a store that is kept: sqlite:PATH or postgres://….',
    );
  return openStore(address, access);
}
