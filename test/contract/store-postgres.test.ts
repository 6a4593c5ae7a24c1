/** The store in a real PostgreSQL keeps the contract. */
import { afterAll, beforeAll, describe } from 'vitest';
import { openStore } from '../../src/stores/open-store.ts';
import { missingPostgres, type PostgresServer, startPostgres } from '../support/stores/postgres-server.ts';
import { storeContract } from './store.ts';

const missing = missingPostgres();

describe.skipIf(missing !== undefined)(`PostgreSQL${missing === undefined ? '' : `: ${missing}`}`, () => {
  let server: PostgresServer | undefined;

  beforeAll(async () => {
    server = await startPostgres();
  });

  afterAll(() => server?.remove());

  storeContract('the store in PostgreSQL', async () => {
    const { address = '', name = '' } = (await server?.createDatabase()) ?? {};
    return {
      keeps: true,
      open: () => openStore(address),
      // As one who has another schema first.
      execute: async (...statements) => {
        for (const statement of statements)
          await server?.execute(statement.replaceAll('llm_serve_', `${name}.llm_serve_`));
      },
      remove: async () => {},
    };
  });
});
