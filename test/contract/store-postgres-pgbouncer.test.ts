/** The store behind a real PgBouncer: every transaction may be one of another session of PostgreSQL. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/stores/open-store.ts';
import { endingAfterAll } from '../support/server.ts';
import { MISSING_PGBOUNCER, startPgBouncer } from '../support/stores/pgbouncer.ts';
import {
  missingPostgres,
  type PostgresServer,
  type PostgresTestDatabase,
  startPostgres,
} from '../support/stores/postgres-server.ts';
import { plainKey } from '../support/stores/records.ts';
import { storeContract } from './store.ts';

const missing = missingPostgres() ?? MISSING_PGBOUNCER;

describe.skipIf(missing !== undefined)(`PgBouncer${missing === undefined ? '' : `: ${missing}`}`, () => {
  const endsWith = endingAfterAll();
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.remove());

  describe.each([
    // Clients share two sessions of PostgreSQL, and nothing of a session is left when its transaction has ended.
    ['transaction', { default_pool_size: '2', server_reset_query_always: '1' }],
    ['session', {}],
  ])('pool_mode=%s', (mode, settings) => {
    let port = 0;

    beforeAll(async () => {
      port = await startPgBouncer({
        port: server.port,
        settings: { pool_mode: mode, ...settings },
        endsWith,
      });
    });

    const addressOf = ({ addressWith }: PostgresTestDatabase, query = '') =>
      addressWith({ port, query: `pgbouncer=true${query}` });

    async function refusal(address: string): Promise<string> {
      const store = await openStore(address).catch((error: Error) => error);
      if (store instanceof Error) return store.message;
      await store.close();
      return 'it was let in';
    }

    // The same statements in both.
    if (mode === 'transaction')
      storeContract('the store behind it', async () => {
        const database = await server.createDatabase();
        return {
          keeps: true,
          open: () => openStore(addressOf(database)),
          // As one who has another schema first.
          execute: async (...statements) => {
            for (const statement of statements)
              await server.execute(statement.replaceAll('llm_serve_', `${database.name}.llm_serve_`));
          },
          remove: async () => {},
        };
      });

    test('several servers that start at once make the tables once, and see each other’s keys', async () => {
      const address = addressOf(await server.createDatabase());
      const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(address)));
      onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
      await Promise.all(stores.map((store, index) => store.keys.add(plainKey(`key-${index}`))));
      for (const store of stores) expect(await store.keys.list()).toHaveLength(4);
    });

    test('a statement that waits too long for a lock is ended by the server', async () => {
      const database = await server.createDatabase();
      const address = addressOf(database, '&lock_timeout=50');
      const store = await openStore(address);
      onTestFinished(() => store.close());
      const table = `${database.name}.llm_serve_keys`;
      const locking = server.execute(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(600)`).catch(() => {});
      const lock = `FROM pg_locks WHERE relation = '${table}'::regclass AND mode = 'AccessExclusiveLock'`;
      await expect.poll(() => server.execute(`SELECT 1 ${lock} AND granted`)).toHaveLength(1);
      onTestFinished(async () => {
        await server.execute(`SELECT pg_terminate_backend(pid) ${lock}`);
        await locking;
      });
      await expect(store.keys.add(plainKey('alice'))).rejects.toMatchObject({
        fault: 'unavailable',
        message: expect.stringContaining('is locked by others'),
      });
    });

    test('what is only to be read is not written', async () => {
      const address = addressOf(await server.createDatabase(), '&default_transaction_read_only=on');
      expect(await refusal(address)).toContain('can’t be written: it is a standby, or read-only');
    });

    test('an address that does not say so ends in a sentence that does', async () => {
      const { addressWith } = await server.createDatabase();
      expect(await refusal(addressWith({ port }))).toContain(
        'is behind PgBouncer or a pooler like it: add pgbouncer=true to its address',
      );
    });

    test('a wrong password is refused without showing it', async () => {
      const { addressWith } = await server.createDatabase();
      const words = await refusal(addressWith({ port, password: 'planted-secret', query: 'pgbouncer=true' }));
      expect(words).toContain('does not let us in. Check user and password');
      expect(words).not.toContain('planted-secret');
    });
  });
});
