/**
 * The SQLite file of a store as a whole: what is in it, a copy of it while servers use it, and a copy put in its place. Blocks its thread,
 * which on-file.ts starts for each call. Throws StoreErrors.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import type { AuditActor } from '../../access/audit-trail.ts';
import type { KeyRecord } from '../../access/key-record.ts';
import type { Milliseconds } from '../../core/clock.ts';
import { IN_ORDER, KEYS_WITH_SECRETS, recordsOf } from '../sql/key-rows.ts';
import { NEWEST_VERSION, OLDEST_READ_VERSION } from '../sql/migrations.ts';
import { auditValues, INSERT_AUDIT } from '../sql/sql-audit.ts';
import { StoreError } from '../store.ts';
import { preparedOf, requireFile, rowsOf } from './sqlite-database.ts';
import { sqliteFault } from './sqlite-faults.ts';

export interface FileFacts {
  readonly path: string;
  /** Of its tables. */
  readonly version: number;
  /** What is not in the file yet but beside it included. */
  readonly bytes: number;
  /** Of the file's permissions: others than its user may read it. */
  readonly othersRead: boolean;
  readonly keys: number;
  readonly usageRows: number;
  readonly auditEntries: number;
  /** What SQLite found damaged; empty: nothing. */
  readonly damage: readonly string[];
  /** Those that can't be read. A server refuses them, and goes on. */
  readonly damagedKeys: readonly KeyRecord[];
}

export interface RestoreOptions {
  /** Also where the file is damaged, so that nobody can tell whether a server has it open. */
  readonly force: boolean;
  readonly now: Date;
  readonly by: AuditActor;
}

export interface RestoredFile {
  readonly facts: FileFacts;
  /** Where the file that was there before is now. */
  readonly before: string | undefined;
}

const BUSY_MS: Milliseconds = 3000;
const MAX_DAMAGE_LINES = 10;
/** Beside a file in WAL: what is not in it yet, and its index. */
const BESIDE = ['-wal', '-shm'] as const;

export function inspectFile(path: string): FileFacts {
  requireFile(path);
  return withDatabase(path, (database) => {
    const version = versionIn(database, path);
    const count = (table: string) => Number(firstValue(database, `SELECT count(*) AS value FROM ${table}`));
    return {
      path,
      version,
      bytes: ['', ...BESIDE].reduce((sum, end) => sum + sizeOf(path + end), 0),
      othersRead: (statSync(path).mode & 0o044) !== 0,
      damage: damageIn(database),
      damagedKeys: version < OLDEST_READ_VERSION ? [] : damagedKeysIn(database),
      keys: count('llm_serve_keys'),
      usageRows: count('llm_serve_usage'),
      auditEntries: count('llm_serve_audit'),
    };
  });
}

/** A copy as of one moment, complete in one file, for this user alone. `to` must not be there. */
export function backUpFile(path: string, to: string): FileFacts {
  requireFile(path);
  if (existsSync(to)) throw new StoreError('refused', `${to} is there already. Name a file that is not.`);
  withDatabase(path, (database) => {
    versionIn(database, path);
    copyInto(database, to);
  });
  return inspectFile(to);
}

/**
 * Puts the copy in the file's place, with an entry in its audit log that says so; what was there, with its own audit log, stays beside it.
 */
export function restoreFile(from: string, path: string, { force, now, by }: RestoreOptions): RestoredFile {
  const { damage } = inspectFile(from);
  if (damage.length > 0)
    throw new StoreError('corrupt', `${from} is damaged: ${damage[0]}. Nothing was restored.`);
  requireUnused(path, force);
  const copy = `${path}.restoring`;
  rmSync(copy, { force: true });
  withDatabase(from, (database) => copyInto(database, copy));
  const before = existsSync(path)
    ? `${path}.before-${now.toISOString().replace(/[-:]|\..*/g, '')}`
    : undefined;
  addEntry(copy, { now, by, details: { from, before: before === undefined ? null : basename(before) } });
  for (const end of ['', ...BESIDE])
    if (before !== undefined && existsSync(path + end)) renameSync(path + end, before + end);
  renameSync(copy, path);
  syncToDisk(dirname(path));
  return { facts: inspectFile(path), before };
}

function addEntry(
  path: string,
  { now, by, details }: Pick<RestoreOptions, 'now' | 'by'> & { readonly details: Record<string, unknown> },
): void {
  try {
    const entry = { ...by, at: now.getTime(), action: 'data.restore', subject: '', details };
    withDatabase(path, (database) => database.prepare(INSERT_AUDIT).run(...auditValues(entry)));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/** Leaving WAL needs the file for oneself. */
function requireUnused(path: string, force: boolean): void {
  if (!existsSync(path)) return;
  try {
    withDatabase(path, (database) => {
      database.exec('PRAGMA journal_mode = DELETE');
    });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.fault === 'unavailable')
      throw new StoreError(
        'unavailable',
        `${path} is in use. Stop the servers that use it, then restore again; nothing was changed.`,
      );
    if (force) return;
    throw new StoreError(
      error.fault,
      `${error.message} So it can’t be told whether a server uses it. Stop them all, then restore with --force.`,
    );
  }
}

function copyInto(database: DatabaseSyncInstance, to: string): void {
  try {
    // The statement takes an empty file, and leaves its permissions.
    closeSync(openSync(to, 'ax', 0o600));
  } catch (error) {
    throw new StoreError('refused', `${to} can’t be created: ${(error as Error).message}.`);
  }
  try {
    database.prepare('VACUUM INTO ?').run(to);
    chmodSync(to, 0o600);
    syncToDisk(to);
  } catch (error) {
    rmSync(to, { force: true });
    throw sqliteFault(error, to);
  }
}

function syncToDisk(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function withDatabase<Result>(path: string, work: (database: DatabaseSyncInstance) => Result): Result {
  let database: DatabaseSyncInstance | undefined;
  try {
    database = new DatabaseSync(path, { timeout: BUSY_MS });
    return work(database);
  } catch (error) {
    throw sqliteFault(error, path);
  } finally {
    if (database?.isOpen === true) database.close();
  }
}

function versionIn(database: DatabaseSyncInstance, path: string): number {
  const isOurs = firstValue(
    database,
    "SELECT count(*) AS value FROM sqlite_schema WHERE type = 'table' AND name = 'llm_serve_versions'",
  );
  if (Number(isOurs) === 0) throw new StoreError('corrupt', `${path} is no database of llm-serve.`);
  const version = Number(firstValue(database, 'SELECT max(version) AS value FROM llm_serve_versions'));
  if (version > NEWEST_VERSION)
    throw new StoreError(
      'too_new',
      `${path} has version ${version} of its tables, and this llm-serve knows version ${NEWEST_VERSION}.`,
    );
  return version;
}

function damageIn(database: DatabaseSyncInstance): readonly string[] {
  const rows = database.prepare(`PRAGMA integrity_check(${MAX_DAMAGE_LINES})`).all() as readonly {
    readonly integrity_check: string;
  }[];
  return rows.map((row) => row.integrity_check).filter((line) => line !== 'ok');
}

function damagedKeysIn(database: DatabaseSyncInstance): readonly KeyRecord[] {
  const rows = rowsOf(preparedOf(database, `${KEYS_WITH_SECRETS} ${IN_ORDER}`));
  return recordsOf(rows).filter(({ damage }) => damage !== undefined);
}

function firstValue(database: DatabaseSyncInstance, text: string): unknown {
  return (database.prepare(text).get() as { readonly value?: unknown } | undefined)?.value;
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
