/**
 * The tables, as a list of versions: each has the statements that make it of the version before. A version that was released is never
 * changed. Both dialects have the same tables and columns.
 */
import { StoreError } from '../store.ts';
import type { Dialect, Sql, SqlDatabase } from './sql-database.ts';

interface Version {
  readonly version: number;
  readonly statements: (words: DialectWords) => readonly string[];
}

interface DialectWords {
  /** A number that the database counts up. */
  readonly counted: string;
  /** Statements that make a table one to which rows are only added. */
  readonly appendOnly: (table: string) => readonly string[];
  /** Statements by which each key that is written, by whatever program, has the revision of that as its own. */
  readonly keysHaveRevisions: readonly string[];
}

const COUNT_REVISION = "UPDATE llm_serve_revisions SET revision = revision + 1 WHERE name = 'keys'";
const KEEP_REVISION_OF_KEY = `UPDATE llm_serve_keys SET revision = (SELECT revision FROM llm_serve_revisions WHERE name = 'keys')
        WHERE number = NEW.number`;
const KEEP_REVISION_OF_DELETION = `UPDATE llm_serve_revisions SET revision = (SELECT revision FROM llm_serve_revisions WHERE name = 'keys')
        WHERE name = 'keys_deleted'`;

const WORDS: Readonly<Record<Dialect, DialectWords>> = {
  sqlite: {
    counted: 'INTEGER PRIMARY KEY AUTOINCREMENT',
    appendOnly: (table) =>
      ['UPDATE', 'DELETE'].map(
        (action) =>
          `CREATE TRIGGER ${table}_no_${action.toLowerCase()} BEFORE ${action} ON ${table} BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END`,
      ),
    keysHaveRevisions: [
      `CREATE TRIGGER llm_serve_keys_added AFTER INSERT ON llm_serve_keys BEGIN ${COUNT_REVISION}; ${KEEP_REVISION_OF_KEY}; END`,
      `CREATE TRIGGER llm_serve_keys_changed AFTER UPDATE OF id, name, team, labels, models, highest_priority, limits, may_admin, ever_admin,
        created_at, expires_at, revoked_at ON llm_serve_keys BEGIN ${COUNT_REVISION}; ${KEEP_REVISION_OF_KEY}; END`,
      `CREATE TRIGGER llm_serve_keys_deleted AFTER DELETE ON llm_serve_keys BEGIN ${COUNT_REVISION}; ${KEEP_REVISION_OF_DELETION}; END`,
    ],
  },
  postgres: {
    counted: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
    appendOnly: (table) => [
      `CREATE FUNCTION ${table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'entries are never changed'; END $$`,
      `CREATE TRIGGER ${table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION ${table}_append_only()`,
    ],
    // The schema is named: whoever writes a key may have another one first. What is counted is counted once for each statement, and before
    // it has any row: all who change keys then wait for one another at the same place. A restore of tables leaves functions as they are.
    keysHaveRevisions: [
      `CREATE OR REPLACE FUNCTION llm_serve_keys_counted() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE counted BIGINT; BEGIN
        EXECUTE format('UPDATE %I.llm_serve_revisions SET revision = revision + 1 WHERE name = ''keys'' RETURNING revision', TG_TABLE_SCHEMA)
          INTO counted;
        IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
          EXECUTE format('UPDATE %I.llm_serve_revisions SET revision = $1 WHERE name = ''keys_deleted''', TG_TABLE_SCHEMA) USING counted;
        END IF;
        RETURN NULL;
      END $$`,
      'CREATE TRIGGER llm_serve_keys_counted BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON llm_serve_keys FOR EACH STATEMENT EXECUTE FUNCTION llm_serve_keys_counted()',
      `CREATE OR REPLACE FUNCTION llm_serve_keys_written() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        EXECUTE format('SELECT revision FROM %I.llm_serve_revisions WHERE name = ''keys''', TG_TABLE_SCHEMA) INTO NEW.revision;
        RETURN NEW;
      END $$`,
      'CREATE TRIGGER llm_serve_keys_written BEFORE INSERT OR UPDATE ON llm_serve_keys FOR EACH ROW EXECUTE FUNCTION llm_serve_keys_written()',
    ],
  },
};

/** Times are milliseconds since the Unix epoch; lists and maps are JSON; NULL is `undefined`. */
const VERSIONS: readonly Version[] = [
  {
    version: 1,
    statements: ({ counted, appendOnly }) => [
      // Counts changes, so that processes notice those of others.
      'CREATE TABLE llm_serve_revisions (name TEXT PRIMARY KEY, revision BIGINT NOT NULL)',
      "INSERT INTO llm_serve_revisions (name, revision) VALUES ('keys', 0)",
      `CREATE TABLE llm_serve_keys (
        number ${counted},
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        team TEXT,
        labels TEXT NOT NULL,
        models TEXT,
        highest_priority TEXT,
        limits TEXT NOT NULL,
        may_admin INTEGER NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT,
        revoked_at BIGINT
      )`,
      'CREATE UNIQUE INDEX llm_serve_key_names ON llm_serve_keys (name) WHERE revoked_at IS NULL',
      // A secret itself is never stored. Position 0 is the newest.
      `CREATE TABLE llm_serve_secrets (
        hash TEXT PRIMARY KEY,
        key_id TEXT NOT NULL REFERENCES llm_serve_keys (id),
        position INTEGER NOT NULL,
        shown TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT
      )`,
      'CREATE INDEX llm_serve_secrets_of_key ON llm_serve_secrets (key_id)',
      `CREATE TABLE llm_serve_usage (
        hour BIGINT NOT NULL,
        caller TEXT NOT NULL,
        team TEXT NOT NULL,
        model TEXT NOT NULL,
        target TEXT NOT NULL,
        requests BIGINT NOT NULL,
        errors BIGINT NOT NULL,
        rejections BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL,
        cached_tokens BIGINT NOT NULL,
        completion_tokens BIGINT NOT NULL,
        cost_nano BIGINT NOT NULL,
        slot_ms DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (hour, caller, team, model, target)
      )`,
      // What was added lately, so that a batch whose answer was lost is not added again.
      'CREATE TABLE llm_serve_usage_batches (batch TEXT PRIMARY KEY, added_at BIGINT NOT NULL)',
      'CREATE INDEX llm_serve_usage_batch_times ON llm_serve_usage_batches (added_at)',
      `CREATE TABLE llm_serve_audit (
        number ${counted},
        at BIGINT NOT NULL,
        actor TEXT NOT NULL,
        address TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        details TEXT NOT NULL
      )`,
      'CREATE INDEX llm_serve_audit_times ON llm_serve_audit (at)',
      ...appendOnly('llm_serve_audit'),
    ],
  },
  {
    version: 2,
    statements: () => [
      'ALTER TABLE llm_serve_keys ADD COLUMN ever_admin INTEGER NOT NULL DEFAULT 0',
      'UPDATE llm_serve_keys SET ever_admin = may_admin',
    ],
  },
  {
    version: 3,
    statements: ({ keysHaveRevisions }) => [
      'ALTER TABLE llm_serve_keys ADD COLUMN revision BIGINT NOT NULL DEFAULT 0',
      'CREATE INDEX llm_serve_key_revisions ON llm_serve_keys (revision)',
      "INSERT INTO llm_serve_revisions (name, revision) VALUES ('keys_deleted', 0)",
      // By the database, so that what a server of the version before writes, during an update, is noticed too.
      ...keysHaveRevisions,
    ],
  },
];

/** Its tables have all that is read today. */
export const OLDEST_READ_VERSION = 3;
export const NEWEST_VERSION = Math.max(...VERSIONS.map(({ version }) => version));

/** In each dialect: 1 where the table of versions is there. */
const HAS_VERSIONS: Readonly<Record<Dialect, string>> = {
  sqlite: "SELECT count(*) AS found FROM sqlite_schema WHERE type = 'table' AND name = 'llm_serve_versions'",
  // to_regclass may still have an answer of before the lock in its cache.
  postgres:
    "SELECT count(*) AS found FROM pg_catalog.pg_class WHERE relname = 'llm_serve_versions' AND pg_catalog.pg_table_is_visible(oid)",
};

/** 0: none of our tables is there. */
export async function versionOf(sql: Sql, dialect: Dialect): Promise<number> {
  const [table] = await sql.run(HAS_VERSIONS[dialect]);
  if (Number(table?.found) === 0) return 0;
  const [row] = await sql.run('SELECT max(version) AS version FROM llm_serve_versions');
  return Number(row?.version ?? 0);
}

/** `name`: of the database, in errors. Rejects with `too_new`; where no table is there and none may be made, with `unavailable`. */
export async function migrate(database: SqlDatabase, name: string, mayCreate = true): Promise<void> {
  const { dialect } = database;
  const version = await knownVersion(database, dialect, name);
  if (version === NEWEST_VERSION) return;
  if (version === 0 && !mayCreate)
    throw new StoreError('unavailable', `${name} has none of the tables that it had.`);
  await database.migrate(async (sql) => {
    // Another process may have migrated meanwhile.
    const from = await knownVersion(sql, dialect, name);
    if (from === 0)
      await sql.run(
        'CREATE TABLE llm_serve_versions (version INTEGER PRIMARY KEY, applied_at BIGINT NOT NULL)',
      );
    for (const { version, statements } of VERSIONS) {
      if (version <= from) continue;
      for (const statement of statements(WORDS[dialect])) await sql.run(statement);
      await sql.run('INSERT INTO llm_serve_versions (version, applied_at) VALUES (?, ?)', [
        version,
        Date.now(),
      ]);
    }
  });
}

/** Of tables that can be read as they are; 0: there are none. `name`: of the database, in errors. */
export async function readableVersion(database: SqlDatabase, name: string): Promise<number> {
  const version = await knownVersion(database, database.dialect, name);
  if (version > 0 && version < OLDEST_READ_VERSION)
    throw new StoreError(
      'too_old',
      `${name} has version ${version} of its tables, and this llm-serve reads version ${OLDEST_READ_VERSION} and later. The start of a server, or llm-serve data migrate, brings it up to version ${NEWEST_VERSION}; an older llm-serve refuses it from then on, so back it up first.`,
    );
  return version;
}

async function knownVersion(sql: Sql, dialect: Dialect, name: string): Promise<number> {
  const version = await versionOf(sql, dialect);
  if (version > NEWEST_VERSION)
    throw new StoreError(
      'too_new',
      `${name} has version ${version} of its tables, and this llm-serve knows version ${NEWEST_VERSION}: a newer llm-serve wrote it. Use that, or another store.`,
    );
  return version;
}
