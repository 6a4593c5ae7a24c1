/** Why an address of a PostgreSQL database can't be used. It never shows the address: its password could be anywhere in it. */
import { StoreAddressError } from '../../core/store-error.ts';

export function wrongAddress(rule: string): StoreAddressError {
  return new StoreAddressError(`access.store is a PostgreSQL address that can’t be used: it ${rule}`);
}
