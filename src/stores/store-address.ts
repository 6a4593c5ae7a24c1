/** Addresses of stores: `memory:`, `sqlite:PATH`, `postgres://…`. Pure. */
import { join } from 'node:path';

export const MEMORY_ADDRESS = 'memory:';
export const SQLITE_SCHEME = 'sqlite:';
const DEFAULT_FILE = 'llm-serve.sqlite';

/** Where keys, usage and the audit log are kept where `access.store` names nothing. */
export function defaultStoreAddress(dataDirectory: string): string {
  return `${SQLITE_SCHEME}${join(dataDirectory, DEFAULT_FILE)}`;
}
