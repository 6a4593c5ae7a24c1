/**
 * A SQLite file, as a SqlDatabase. Every call blocks the thread, so it is used on a thread of its own (sqlite-thread.ts), which makes one
 * call at a time. Readers of other processes are never blocked (WAL); writers wait for one another.
 */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite';
import type { Milliseconds } from '../../core/clock.ts';
import type { Durability, Sql, SqlDatabase, SqlRow, SqlValue } from '../sql/sql-database.ts';
import { type StoreAccess, StoreError } from '../store.ts';
import { sqliteFault } from './sqlite-faults.ts';

interface Prepared {
  readonly statement: StatementSyncInstance;
  readonly columns: readonly string[];
  /** A row with all of them, to be filled: its copies need not grow. */
  readonly emptyRow: SqlRow;
}

export interface SqliteOptions {
  readonly path: string;
  /** How long a call waits for another process that writes. */
  readonly busyMs: Milliseconds;
  /** Default: `write`. */
  readonly access?: StoreAccess;
}

/** As PRAGMA synchronous has them. In WAL, NORMAL syncs at checkpoints only. */
const SYNCHRONOUS: Readonly<Record<Durability, string>> = { full: 'FULL', normal: 'NORMAL' };

export class SqliteDatabase implements SqlDatabase {
  readonly dialect = 'sqlite';
  readonly #path: string;
  readonly #database: DatabaseSyncInstance;
  readonly #statements = new Map<string, Prepared>();
  #durability: Durability = 'full';

  private constructor(path: string, database: DatabaseSyncInstance) {
    this.#path = path;
    this.#database = database;
  }

  /** To write, creates the file where there is none and it may, for this user alone. Throws a StoreError. */
  static open({ path, busyMs, access }: SqliteOptions, mayCreate = true): SqliteDatabase {
    let database: DatabaseSyncInstance | undefined;
    try {
      if (access !== 'read' && mayCreate) createFile(path);
      else requireFile(path);
      database = new DatabaseSync(path, { timeout: busyMs });
      requireOurs(database, path);
      if (access === 'read') database.exec('PRAGMA query_only = ON');
      else prepareToWrite(database);
      return new SqliteDatabase(path, database);
    } catch (error) {
      if (database?.isOpen === true) database.close();
      throw sqliteFault(error, path);
    }
  }

  async run(text: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    try {
      return rowsOf(this.#statement(text), parameters);
    } catch (error) {
      throw sqliteFault(error, this.#path);
    }
  }

  async write<Result>(durability: Durability, work: (sql: Sql) => Promise<Result>): Promise<Result> {
    if (durability !== this.#durability) {
      await this.run(`PRAGMA synchronous = ${SYNCHRONOUS[durability]}`);
      this.#durability = durability;
    }
    await this.run('BEGIN IMMEDIATE');
    try {
      const result = await work(this);
      await this.run('COMMIT');
      return result;
    } catch (error) {
      // Some faults, a full disk among them, have ended it already.
      if (this.#database.isTransaction) await this.run('ROLLBACK');
      throw error;
    }
  }

  migrate<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.write('full', work);
  }

  async close(): Promise<void> {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #statement(text: string): Prepared {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const prepared = preparedOf(this.#database, text);
    this.#statements.set(text, prepared);
    return prepared;
  }
}

export function preparedOf(database: DatabaseSyncInstance, text: string): Prepared {
  const statement = database.prepare(text);
  statement.setReturnArrays(true);
  const columns = statement.columns().map(({ name }) => name);
  return { statement, columns, emptyRow: Object.fromEntries(columns.map((column) => [column, null])) };
}

/** A row with a number beyond 2^53 would keep all others from being read. It is rounded, as in PostgreSQL: key-of-row.ts refuses it. */
export function rowsOf(
  { statement, columns, emptyRow }: Prepared,
  parameters: readonly SqlValue[] = [],
): readonly SqlRow[] {
  // A list crosses from the database in half the time of an object with names.
  const all = <Value>() => statement.all(...parameters) as unknown as readonly (readonly Value[])[];
  const rowOf = (values: readonly SqlValue[]): SqlRow => {
    const row: Record<string, SqlValue> = { ...emptyRow };
    for (let index = 0; index < columns.length; index += 1)
      row[columns[index] as string] = values[index] as SqlValue;
    return row;
  };
  try {
    return all<SqlValue>().map(rowOf);
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    statement.setReadBigInts(true);
    try {
      return all<SqlValue | bigint>().map((values) => rowOf(values.map(rounded)));
    } finally {
      statement.setReadBigInts(false);
    }
  }
}

/** Only a reading ends so: nothing was written that would be written again. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Value is too large to be represented');
}

function rounded(value: SqlValue | bigint): SqlValue {
  return typeof value === 'bigint' ? Number(value) : value;
}

function prepareToWrite(database: DatabaseSyncInstance): void {
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  // That it can be written, is told at once.
  database.exec('BEGIN IMMEDIATE');
  database.exec('ROLLBACK');
}

/** SQLite would create it. Throws a StoreError. */
export function requireFile(path: string): void {
  if (!existsSync(path)) throw new StoreError('refused', `There is no file ${path}.`);
}

function createFile(path: string): void {
  try {
    createFolder(dirname(path));
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // SQLite has the better words for a file that is there.
    if (code === 'EEXIST') return;
    const fault = code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'refused';
    throw new StoreError(fault, `${path} can’t be created: ${message}.`, { cause: error });
  }
}

/** Not by `recursive`: Node goes on for ever where a folder that is there lets none be made in it and says ENOENT, as /proc does. */
function createFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) createFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** A file with tables of another program is left as it is. */
function requireOurs(database: DatabaseSyncInstance, path: string): void {
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as readonly {
    readonly name: string;
  }[];
  if (names.length > 0 && !names.some(({ name }) => name === 'llm_serve_versions'))
    throw new StoreError('corrupt', `${path} is a database of another program.`);
}
