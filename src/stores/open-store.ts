/** Opens the store that `access.store` names. */
import { MemoryStore } from './memory-store.ts';
import { type Store, StoreError } from './store.ts';

/** `address`: `memory:`, `sqlite:PATH`, or `postgres://…`. Rejects with a StoreError. */
export async function openStore(address: string): Promise<Store> {
  if (address === 'memory:') return new MemoryStore();
  throw new StoreError('refused', `access.store is ${JSON.stringify(address)}, which can't be opened.`);
}
