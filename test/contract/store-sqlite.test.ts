/** The store in a SQLite file keeps the contract. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { openStore } from '../../src/stores/open-store.ts';
import { storeContract } from './store.ts';

storeContract('the store in a SQLite file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-store-'));
  const path = join(folder, 'deep', 'store.sqlite');
  return {
    keeps: true,
    open: () => openStore(`sqlite:${path}`),
    execute: async (...statements) => {
      const database = new DatabaseSync(path);
      for (const statement of statements) database.exec(statement);
      database.close();
    },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});
