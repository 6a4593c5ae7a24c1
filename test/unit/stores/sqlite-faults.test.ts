/** What becomes of calls when the SQLite file can't be used: each fault has its own words, and leaves the file as it was. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { SqlStore } from '../../../src/stores/sql/sql-store.ts';
import { openSqlite } from '../../../src/stores/sqlite/open-sqlite.ts';
import { SqliteDatabase } from '../../../src/stores/sqlite/sqlite-database.ts';
import type { Store } from '../../../src/stores/store.ts';
import { auditEntry, plainKey, usageRow } from '../../support/stores/records.ts';

const ALL_TIME = { from: 0, to: Number.MAX_SAFE_INTEGER };

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-serve-faults-'));
  path = join(folder, 'store.sqlite');
  const created = folder;
  onTestFinished(() => rmSync(created, { recursive: true, force: true }));
});

async function opened(busyMs = 50): Promise<Store> {
  const store = await openSqlite(path, { busyMs });
  onTestFinished(() => store.close());
  return store;
}

/** In this thread, where its limits can be set. */
async function openedHere(at = path) {
  const database = SqliteDatabase.open({ path: at, busyMs: 50 });
  onTestFinished(() => database.close());
  return { database, store: await SqlStore.prepare(database, at) };
}

function otherProgram(): DatabaseSyncInstance {
  const database = new DatabaseSync(path);
  onTestFinished(() => {
    if (database.isOpen) database.close();
  });
  return database;
}

test.runIf(process.platform === 'linux')('a folder that can’t be made is told at once', () => {
  expect(() => SqliteDatabase.open({ path: '/proc/no-such-folder/store.sqlite', busyMs: 50 })).toThrow(
    '/proc/no-such-folder/store.sqlite can’t be created: ENOENT',
  );
});

test('folders on the way are made', () => {
  const at = join(folder, 'one', 'two', 'store.sqlite');
  SqliteDatabase.open({ path: at, busyMs: 50 }).close();
  expect(statSync(join(folder, 'one', 'two')).mode & 0o777).toBe(0o700);
});

test('a file is for its user alone', async () => {
  await opened();
  for (const end of ['', '-wal', '-shm']) expect(statSync(path + end).mode & 0o777).toBe(0o600);
});

describe('locked by another process', () => {
  test('writes are unavailable, reads go on, and writes succeed again after it', async () => {
    const store = await opened();
    await store.keys.add(plainKey('alice'));
    const other = otherProgram();
    other.exec('BEGIN IMMEDIATE');
    await expect(store.keys.add(plainKey('bob'))).rejects.toMatchObject({
      fault: 'unavailable',
      message: `${path} is locked by another process.`,
    });
    await expect(store.usage.add([usageRow()], 'batch')).rejects.toMatchObject({ fault: 'unavailable' });
    expect(await store.keys.list()).toEqual([plainKey('alice')]);
    other.exec('ROLLBACK');
    await store.usage.add([usageRow()], 'batch');
    expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 1 }]);
  });

  test('it can’t be opened', async () => {
    await (await opened()).close();
    otherProgram().exec('BEGIN IMMEDIATE');
    await expect(openSqlite(path, { busyMs: 50 })).rejects.toMatchObject({ fault: 'unavailable' });
  });
});

const BACK_TO_VERSION_2 = [
  ...['added', 'changed', 'deleted'].map((what) => `DROP TRIGGER llm_serve_keys_${what}`),
  'DROP INDEX llm_serve_key_revisions',
  'ALTER TABLE llm_serve_keys DROP COLUMN revision',
  "DELETE FROM llm_serve_revisions WHERE name = 'keys_deleted'",
  'DELETE FROM llm_serve_versions WHERE version > 2',
];

describe('not a database of ours', () => {
  test('a text is left as it is', async () => {
    const text = 'a list of things to do\n'.repeat(100);
    writeFileSync(path, text);
    await expect(openSqlite(path)).rejects.toMatchObject({
      fault: 'corrupt',
      message: `${path} is not a SQLite database.`,
    });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('a database of another program is left as it is', async () => {
    const other = otherProgram();
    other.exec('CREATE TABLE photos (name TEXT)');
    other.close();
    const before = readFileSync(path);
    await expect(openSqlite(path)).rejects.toMatchObject({
      fault: 'corrupt',
      message: `${path} is a database of another program.`,
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('one of the version before gets the columns that it lacks: who may administer counts as one who ever might', async () => {
    const { store, database } = await openedHere();
    await store.keys.add(plainKey('alice', { mayAdmin: true, everAdmin: true }));
    await store.keys.add(plainKey('bob'));
    for (const statement of BACK_TO_VERSION_2) await database.run(statement);
    await database.run('ALTER TABLE llm_serve_keys DROP COLUMN ever_admin');
    await database.run('DELETE FROM llm_serve_versions WHERE version > 1');
    await store.close();
    const { store: migrated } = await openedHere();
    expect((await migrated.keys.list()).map(({ everAdmin }) => everAdmin)).toEqual([true, false]);
  });

  test('of one of the version before, what a server of that version still writes is noticed', async () => {
    const { store, database } = await openedHere();
    await store.keys.add(plainKey('alice'));
    for (const statement of BACK_TO_VERSION_2) await database.run(statement);
    await store.close();
    const { store: migrated, database: sameFile } = await openedHere();
    const revision = await migrated.keys.revision();
    expect(await migrated.keys.changedSince(revision)).toEqual({ revision, records: [] });
    await sameFile.write('full', async (sql) => {
      await sql.run("UPDATE llm_serve_revisions SET revision = revision + 1 WHERE name = 'keys'");
      await sql.run(
        "INSERT INTO llm_serve_keys (id, name, labels, limits, may_admin, ever_admin, created_at) VALUES ('key_bob', 'bob', '{}', '{}', 0, 0, 1)",
      );
    });
    expect((await migrated.keys.changedSince(revision))?.records.map(({ name }) => name)).toEqual(['bob']);
    expect((await migrated.keys.list()).map(({ name }) => name)).toEqual(['alice', 'bob']);
  });

  test('one that a newer llm-serve wrote is left as it is', async () => {
    const store = await opened();
    await store.keys.add(plainKey('alice'));
    await store.close();
    const other = otherProgram();
    other.exec('INSERT INTO llm_serve_versions (version, applied_at) VALUES (99, 0)');
    other.close();
    await expect(openSqlite(path)).rejects.toMatchObject({
      fault: 'too_new',
      message: expect.stringMatching(/has version 99 of its tables, and this llm-serve knows version \d+/),
    });
  });
});

test('damaged pages are told from all other faults', async () => {
  await (await opened()).close();
  const { size: sizeEmpty } = statSync(path);
  const store = await opened();
  for (let index = 0; index < 200; index += 1)
    await store.audit.add(auditEntry({ subject: 'x'.repeat(300) }));
  await store.close();
  const { size } = statSync(path);
  const file = openSync(path, 'r+');
  const garbage = Buffer.alloc(4096, 0xa5);
  for (let at = sizeEmpty; at + 4096 <= size; at += 4096) writeSync(file, garbage, 0, 4096, at);
  closeSync(file);
  const again = await opened();
  await expect(again.audit.list({ limit: 1000 })).rejects.toMatchObject({
    fault: 'corrupt',
    message: `${path} is damaged. Restore a backup: llm-serve data restore FILE.`,
  });
});

describe('no space is left', () => {
  test('a batch is refused as a whole, reads go on, and it is taken when there is space again', async () => {
    const { database, store } = await openedHere();
    await store.usage.add([usageRow()], 'first');
    const [{ page_count: pages } = { page_count: 0 }] = await database.run('PRAGMA page_count');
    await database.run(`PRAGMA max_page_count = ${pages}`);
    const rows = Array.from({ length: 2000 }, (_, index) => usageRow({ caller: `key_${index}` }));
    await expect(store.usage.add(rows, 'second')).rejects.toMatchObject({
      fault: 'full',
      message: `${path} can’t be written: no space is left on its disk.`,
    });
    expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 1 }]);
    await database.run('PRAGMA max_page_count = 100000');
    await store.usage.add(rows, 'second');
    expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 2001 }]);
  });

  test('on a real disk that is full', async (context) => {
    const disk = join(folder, 'disk');
    execFileSync('mkdir', [disk]);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk]);
    if (mounted.status !== 0) return context.skip('no file system can be mounted here');
    onTestFinished(() => void spawnSync('umount', ['-l', disk]));
    const { store, database } = await openedHere(join(disk, 'store.sqlite'));
    const rows = Array.from({ length: 8000 }, (_, index) => usageRow({ caller: `key_${index}` }));
    await expect(store.usage.add(rows, 'batch')).rejects.toMatchObject({ fault: 'full' });
    await store.usage.add([usageRow()], 'small');
    expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 1 }]);
    await database.close();
  });
});

describe('a user who may not write', () => {
  /** Runs as nobody, where this is root, which may write everywhere. */
  function asNobody<Result>(work: () => Result): Result {
    if (process.getuid?.() !== 0 || process.seteuid === undefined) return work();
    process.seteuid(65_534);
    try {
      return work();
    } finally {
      process.seteuid(0);
    }
  }

  test('a file that is read-only is refused, with the reason', async () => {
    await (await opened()).close();
    chmodSync(folder, 0o755);
    chmodSync(path, 0o444);
    expect(() => asNobody(() => SqliteDatabase.open({ path, busyMs: 50 }))).toThrow(
      `${path} can’t be written: the file, its folder or the file system is read-only.`,
    );
  });

  test('a folder that may not be written is refused, and nothing is made there', () => {
    const closed = join(folder, 'closed');
    execFileSync('mkdir', ['-m', '555', closed]);
    chmodSync(folder, 0o755);
    const missing = join(closed, 'deep', 'store.sqlite');
    expect(() => asNobody(() => SqliteDatabase.open({ path: missing, busyMs: 50 }))).toThrow(
      /can’t be created: EACCES/,
    );
    expect(existsSync(join(closed, 'deep'))).toBe(false);
  });
});

test('entries of the audit log are never changed, by whom ever', async () => {
  const { database, store } = await openedHere();
  await store.audit.add(auditEntry());
  await expect(database.run("UPDATE llm_serve_audit SET actor = 'nobody'")).rejects.toThrow(
    'entries are never changed',
  );
  await expect(database.run('DELETE FROM llm_serve_audit')).rejects.toThrow('entries are never changed');
  expect(await store.audit.list({ limit: 5 })).toEqual([auditEntry()]);
});
