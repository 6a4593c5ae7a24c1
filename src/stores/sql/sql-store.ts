/** The store in a database that speaks SQL: what SQLite and PostgreSQL have in common, which is all but the connection. */
import { type KeyName, type KeysPage, type KeysQuery, pageOf } from '../../access/key-page.ts';
import { changedRecord, type KeyChanges, type KeyRecord } from '../../access/key-record.ts';
import type { KeysAtRevision } from '../../access/key-store.ts';
import type { AuditLog, KeyStore, Store } from '../store.ts';
import { nameTaken, requireUnchanged, secretTaken } from '../store.ts';
import {
  ALL_KEYS,
  allOf,
  CHANGED_KEYS,
  changesOf,
  IN_ORDER,
  KEY_COLUMNS,
  KEYS_WITH_SECRETS,
  keyValues,
  NAMED_KEYS,
  NAMES_OF_KEYS,
  NUMBER_OF_KEY,
  pageOfKeys,
  recordsOf,
  SECRET_COLUMNS,
  secretValues,
} from './key-rows.ts';
import { migrate, readableVersion } from './migrations.ts';
import { SqlAudit } from './sql-audit.ts';
import { type Sql, type SqlDatabase, storableText } from './sql-database.ts';
import { SqlUsage } from './sql-usage.ts';

export class SqlStore implements Store {
  readonly keys: KeyStore;
  readonly usage: SqlUsage;
  readonly audit: AuditLog;
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
    this.keys = new SqlKeys(database);
    this.usage = new SqlUsage(database);
    this.audit = new SqlAudit(database);
  }

  /** Creates the tables where it may, or brings them up to date. `name`: of the database, in errors. Closes it where that fails. */
  static async prepare(database: SqlDatabase, name: string, mayCreate = true): Promise<SqlStore> {
    try {
      await migrate(database, name, mayCreate);
    } catch (error) {
      await database.close();
      throw error;
    }
    return new SqlStore(database);
  }

  /** Changes nothing: neither tables nor rows. `name`: of the database, in errors. Closes it where that fails. */
  static async read(database: SqlDatabase, name: string): Promise<SqlStore> {
    try {
      const version = await readableVersion(database, name);
      return new SqlStore(version === 0 ? withoutTables(database) : database);
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

/** As if its tables were there, and empty. */
function withoutTables(database: SqlDatabase): SqlDatabase {
  return {
    dialect: database.dialect,
    run: async () => [],
    write: (durability, work) => database.write(durability, work),
    migrate: (work) => database.migrate(work),
    close: () => database.close(),
  };
}

const marks = (values: readonly unknown[]) => values.map(() => '?').join(', ');

const NEXT_REVISION = "UPDATE llm_serve_revisions SET revision = revision + 1 WHERE name = 'keys'";
const INSERT_KEY = `INSERT INTO llm_serve_keys (${KEY_COLUMNS.join(', ')}) VALUES (${marks(KEY_COLUMNS)})`;
const INSERT_SECRET = `INSERT INTO llm_serve_secrets (${SECRET_COLUMNS.join(', ')}) VALUES (${marks(SECRET_COLUMNS)})`;
const UPDATE_KEY = `UPDATE llm_serve_keys SET ${KEY_COLUMNS.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`;

class SqlKeys implements KeyStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async revision(): Promise<number> {
    const [row] = await this.#database.run("SELECT revision FROM llm_serve_revisions WHERE name = 'keys'");
    return Number(row?.revision);
  }

  async list(): Promise<readonly KeyRecord[]> {
    return (await this.readAll()).records;
  }

  async page(query: KeysQuery): Promise<KeysPage | undefined> {
    const { dialect } = this.#database;
    const afterNumber = query.after === undefined ? 0 : await this.#numberOf(query.after);
    if (afterNumber === undefined) return undefined;
    const { text, parameters } = pageOfKeys(query, { dialect, afterNumber });
    return pageOf(recordsOf(await this.#database.run(text, parameters)), query.limit);
  }

  async namesOf(ids: readonly string[]): Promise<readonly KeyName[]> {
    const rows = await this.#database.run(NAMES_OF_KEYS[this.#database.dialect], [
      JSON.stringify(ids.map(storableText)),
    ]);
    return rows.map(({ id, name }) => ({ id: String(id), name: String(name) }));
  }

  /** It stays the same, so a page begins where the one before ended. */
  async #numberOf(id: string): Promise<number | undefined> {
    const [row] = await this.#database.run(NUMBER_OF_KEY, [id]);
    return row === undefined ? undefined : Number(row.number);
  }

  async named(idOrName: string): Promise<readonly KeyRecord[]> {
    return recordsOf(await this.#database.run(NAMED_KEYS, [idOrName, idOrName]));
  }

  async readAll(): Promise<KeysAtRevision> {
    return allOf(await this.#database.run(ALL_KEYS));
  }

  async changedSince(revision: number): Promise<KeysAtRevision | undefined> {
    return changesOf(await this.#database.run(CHANGED_KEYS, [revision]), revision);
  }

  async add(record: KeyRecord): Promise<void> {
    await this.#change(async (sql) => {
      await requireUnique(sql, record);
      await sql.run(INSERT_KEY, keyValues(record));
      await insertSecrets(sql, record);
    });
  }

  async change(known: KeyRecord, changes: KeyChanges): Promise<KeyRecord | undefined> {
    const { id } = known;
    return this.#change(async (sql) => {
      const stored = await recordById(sql, id);
      if (stored === undefined) return undefined;
      requireUnchanged(stored, known);
      const changed = changedRecord(stored, changes);
      await requireUnique(sql, changed);
      await sql.run(UPDATE_KEY, [...keyValues(changed), id]);
      await sql.run('DELETE FROM llm_serve_secrets WHERE key_id = ?', [id]);
      await insertSecrets(sql, changed);
      return changed;
    });
  }

  /** The revision's row is locked first, so that changes of several processes come one after the other. */
  #change<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#database.write('full', async (sql) => {
      await sql.run(NEXT_REVISION);
      return work(sql);
    });
  }
}

async function recordById(sql: Sql, id: string): Promise<KeyRecord | undefined> {
  return recordsOf(await sql.run(`${KEYS_WITH_SECRETS} WHERE k.id = ? ${IN_ORDER}`, [id]))[0];
}

async function insertSecrets(sql: Sql, { id, secrets }: KeyRecord): Promise<void> {
  for (const [position, secret] of secrets.entries())
    await sql.run(INSERT_SECRET, secretValues(id, secret, position));
}

async function requireUnique(sql: Sql, { id, name, secrets, revokedAt }: KeyRecord): Promise<void> {
  const hashes = secrets.map(({ hash }) => hash);
  if (hashes.length > 0) {
    const taken = await sql.run(
      `SELECT 1 AS taken FROM llm_serve_secrets WHERE hash IN (${marks(hashes)}) AND key_id <> ?`,
      [...hashes, id],
    );
    if (taken.length > 0) throw secretTaken();
  }
  if (revokedAt !== undefined) return;
  const taken = await sql.run(
    'SELECT 1 AS taken FROM llm_serve_keys WHERE name = ? AND revoked_at IS NULL AND id <> ?',
    [name, id],
  );
  if (taken.length > 0) throw nameTaken(name);
}
