/** The tables in a real PostgreSQL: brought up to date, restored from a dump, and changed by several at once or by hand. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { KeyRecord } from '../../src/access/key-record.ts';
import { openStore } from '../../src/stores/open-store.ts';
import type { Store } from '../../src/stores/store.ts';
import {
  missingPostgres,
  type PostgresServer,
  type PostgresTestDatabase,
  postgresProgram,
  startPostgres,
} from '../support/stores/postgres-server.ts';
import { plainKey } from '../support/stores/records.ts';

const missing = missingPostgres();

const BACK_TO_VERSION_2 = [
  'DROP FUNCTION llm_serve_keys_counted CASCADE',
  'DROP FUNCTION llm_serve_keys_written CASCADE',
  'ALTER TABLE llm_serve_keys DROP COLUMN revision',
  "DELETE FROM llm_serve_revisions WHERE name = 'keys_deleted'",
  'DELETE FROM llm_serve_versions WHERE version > 2',
];
const COUNT_REVISION = "UPDATE llm_serve_revisions SET revision = revision + 1 WHERE name = 'keys'";

describe.skipIf(missing !== undefined)(
  `tables in PostgreSQL${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    let server: PostgresServer;
    let database: PostgresTestDatabase;
    let folder: string;

    beforeAll(async () => {
      server = await startPostgres();
      folder = mkdtempSync(join(tmpdir(), 'llm-serve-dumps-'));
    });
    afterAll(async () => {
      await server.remove();
      rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      database = await server.createDatabase();
    });

    async function opened(address = database.address): Promise<Store> {
      const store = await openStore(address);
      onTestFinished(() => store.close());
      return store;
    }

    function connected(): postgres.Sql {
      const sql = postgres(database.address, { max: 1, fetch_types: false, onnotice: () => {} });
      onTestFinished(() => sql.end({ timeout: 1 }));
      return sql;
    }

    async function run(...statements: readonly string[]): Promise<readonly postgres.Row[]> {
      const sql = connected();
      let rows: readonly postgres.Row[] = [];
      for (const statement of statements) rows = await sql.unsafe(statement);
      return rows;
    }

    test('what only reads makes no tables, and brings none up to date', async () => {
      const reading = async () => {
        const store = await openStore(database.address, 'read');
        onTestFinished(() => store.close());
        return store;
      };
      const empty = await reading();
      expect(await empty.keys.list()).toEqual([]);
      expect(await empty.usage.report({ by: ['key'], from: 0, to: 1e15 })).toEqual([]);
      expect(await empty.audit.list({ limit: 1 })).toEqual([]);
      await expect(reading()).resolves.toBeDefined();
      await (await opened()).keys.add(plainKey('alice'));
      expect(namesOf(await (await reading()).keys.list())).toEqual(['alice']);
      await run(...BACK_TO_VERSION_2);
      await expect(reading()).rejects.toMatchObject({ fault: 'too_old' });
      expect(await run('SELECT max(version) AS version FROM llm_serve_versions')).toMatchObject([
        { version: 2 },
      ]);
    });

    const namesOf = (records: readonly KeyRecord[] | undefined) => records?.map(({ name }) => name);

    /** A program of PostgreSQL, on the database, which the guide names by DATABASE_URL. */
    const program = (name: string, ...given: readonly string[]) =>
      execFileSync(postgresProgram(name), given, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const address = () => database.address.replace(/\?.*/, '');

    /** As docs/how-to/back-up-keys-and-usage.md says. */
    function dumped(): string {
      const file = join(folder, `${database.name}.dump`);
      program(
        'pg_dump',
        '--format=custom',
        `--table=${database.name}.llm_serve_*`,
        `--file=${file}`,
        address(),
      );
      return file;
    }

    function restore(file: string): void {
      program('pg_restore', '--clean', '--if-exists', '--single-transaction', `--dbname=${address()}`, file);
    }

    describe('of the version before', () => {
      test('are brought up to date, and what a server of that version still writes is noticed', async () => {
        const before = await opened();
        await before.keys.add(plainKey('alice'));
        await before.close();
        await run(...BACK_TO_VERSION_2);
        const store = await opened();
        const revision = await store.keys.revision();
        expect(await changedNames(store, revision)).toEqual([]);
        await run(
          'BEGIN',
          COUNT_REVISION,
          "INSERT INTO llm_serve_keys (id, name, labels, limits, may_admin, ever_admin, created_at) VALUES ('key_bob', 'bob', '{}', '{}', 0, 0, 1)",
          'COMMIT',
        );
        expect(await changedNames(store, revision)).toEqual(['bob']);
        expect(namesOf(await store.keys.list())).toEqual(['alice', 'bob']);
      });

      test('are brought up to date again after a dump of them was restored', async () => {
        const before = await opened();
        await before.keys.add(plainKey('alice'));
        await before.close();
        await run(...BACK_TO_VERSION_2);
        const dump = dumped();
        const updated = await opened();
        await updated.keys.add(plainKey('bob'));
        await updated.close();
        restore(dump);
        const store = await opened();
        expect(namesOf(await store.keys.list())).toEqual(['alice']);
        const revision = await store.keys.revision();
        await store.keys.add(plainKey('carol'));
        expect(await changedNames(store, revision)).toEqual(['carol']);
      });
    });

    describe('a dump', () => {
      test('is restored into an empty database in which a command has made the tables', async () => {
        const before = await opened();
        await before.keys.add(plainKey('alice'));
        await before.close();
        const dump = dumped();
        await run(`DROP SCHEMA ${database.name} CASCADE`, `CREATE SCHEMA ${database.name}`);
        await (await opened()).close();
        restore(dump);
        const store = await opened();
        const revision = await store.keys.revision();
        await store.keys.change(plainKey('alice'), { revokedAt: 1_700_000_000_001 });
        expect(await changedNames(store, revision)).toEqual(['alice']);
      });

      test('restores nothing where the functions are missing that it does not hold', async () => {
        await (await opened()).close();
        const dump = dumped();
        await run(`DROP SCHEMA ${database.name} CASCADE`, `CREATE SCHEMA ${database.name}`);
        expect(() => restore(dump)).toThrow('llm_serve_audit_append_only');
        expect(await run("SELECT to_regclass('llm_serve_keys') AS found")).toEqual([{ found: null }]);
      });
    });

    test('without their triggers, all keys are read after each change', async () => {
      const store = await opened();
      await store.keys.add(plainKey('alice'));
      const revision = await store.keys.revision();
      await store.keys.change(plainKey('alice'), { team: 'red' });
      await run(
        'DROP FUNCTION llm_serve_keys_counted CASCADE',
        'DROP FUNCTION llm_serve_keys_written CASCADE',
      );
      await store.keys.add(plainKey('bob'));
      expect(await store.keys.changedSince(revision), 'a row has the revision of before').toBeUndefined();
      expect(await store.keys.changedSince(await store.keys.revision())).toMatchObject({ records: [] });
    });

    describe('changes', () => {
      test('of many rows by one statement are one revision', async () => {
        const store = await opened();
        const names = Array.from({ length: 20 }, (_, index) => `key-${index}`);
        for (const name of names) await store.keys.add(plainKey(name));
        const revision = await store.keys.revision();
        await run("UPDATE llm_serve_keys SET team = 'red'");
        expect(await store.keys.revision()).toBe(revision + 1);
        expect(await changedNames(store, revision)).toEqual(names);
      });

      for (const statement of [
        "UPDATE llm_serve_keys SET labels = '{}' WHERE name = 'alice'",
        "DELETE FROM llm_serve_keys WHERE name = 'alice'",
      ])
        test(`by hand and by a server wait for one another in one order: ${statement.split(' ')[0]}`, async () => {
          // On a busy machine, it may have to wait for longer than it usually would.
          const store = await opened(
            database.addressWith({ query: 'lock_timeout=60000&statement_timeout=60000' }),
          );
          await store.keys.add(plainKey('alice', { secrets: [] }));
          const first = connected();
          await first.unsafe('BEGIN');
          await first.unsafe(COUNT_REVISION);
          const byServer = store.keys.change(plainKey('alice', { secrets: [] }), { team: 'red' });
          await haveToWait(1);
          const byHand = run(statement);
          await haveToWait(2);
          await first.unsafe('COMMIT');
          const outcomes = await Promise.allSettled([byServer, byHand]);
          expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
        });

      test('by several at once are all found by one who reads those since the last', async () => {
        const writers = await Promise.all([opened(), opened(), opened()]);
        const reader = await opened();
        const known = new Map<string, KeyRecord>();
        let revision = await reader.keys.revision();
        const look = async () => {
          const changed = await reader.keys.changedSince(revision);
          if (changed === undefined) throw new Error('it could not be told');
          for (const record of changed.records) known.set(record.id, record);
          revision = changed.revision;
        };
        let isWriting = true;
        const writing = Promise.all(
          writers.map(async ({ keys }, writer) => {
            for (let index = 0; index < 25; index += 1) {
              const key = plainKey(`${writer}-${index}`);
              await keys.add(key);
              if (index % 2 === 0) await keys.change(key, { team: 'red' });
            }
          }),
        ).finally(() => {
          isWriting = false;
        });
        const reading = (async () => {
          while (isWriting) await look();
          await look();
        })();
        await Promise.all([writing, reading]);
        // In the same order too.
        expect([...known.values()]).toEqual(await reader.keys.list());
      });
    });

    async function changedNames({ keys }: Store, since: number) {
      return namesOf((await keys.changedSince(since))?.records);
    }

    /** So many clients wait for a lock. */
    async function haveToWait(count: number): Promise<void> {
      await expect
        .poll(() =>
          server.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'",
          ),
        )
        .toHaveLength(count);
    }
  },
);
