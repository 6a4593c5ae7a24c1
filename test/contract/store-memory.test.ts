/** The store in memory keeps the contract, until it is gone. */
import { MemoryStore } from '../../src/stores/memory-store.ts';
import { storeContract } from './store.ts';

storeContract('the store in memory', async () => ({
  keeps: false,
  open: async () => new MemoryStore(),
  remove: async () => {},
}));
