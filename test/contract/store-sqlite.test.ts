/** The store in a SQLite file keeps the contract. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../src/stores/open-store.ts';
import { storeContract } from './store.ts';

storeContract('the store in a SQLite file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-store-'));
  return {
    keeps: true,
    open: () => openStore(`sqlite:${join(folder, 'deep', 'store.sqlite')}`),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});
