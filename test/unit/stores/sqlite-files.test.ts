/** Copies of the SQLite file, made and put in its place. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { backUp, inspect, restore as restoreFile } from '../../../src/stores/sqlite/on-file.ts';
import { openSqlite } from '../../../src/stores/sqlite/open-sqlite.ts';
import type { Store } from '../../../src/stores/store.ts';
import { auditEntry, plainKey, usageRow } from '../../support/stores/records.ts';

const NOW = new Date(Date.UTC(2026, 0, 31, 22, 5, 6, 789));

let folder: string;
let path: string;
let copy: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-serve-files-'));
  path = join(folder, 'store.sqlite');
  copy = join(folder, 'copy.sqlite');
  const created = folder;
  onTestFinished(() => rmSync(created, { recursive: true, force: true }));
});

async function opened(at = path): Promise<Store> {
  const store = await openSqlite(at);
  onTestFinished(() => store.close());
  return store;
}

const BY = { actor: 'command line: alice', address: 'build-7' };

const restore = (force = false) => restoreFile(copy, path, { force, now: NOW, by: BY });

test('a copy that is made while it is written to is whole, and has all that was written before', async () => {
  const store = await opened();
  await store.keys.add(plainKey('alice'));
  let batches = 0;
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      batches += 1;
      await store.usage.add([usageRow()], `batch-${batches}`);
    }
  })();
  await store.audit.add(auditEntry());
  const facts = await backUp(path, copy);
  isOver = true;
  await writing;
  expect(facts).toMatchObject({ keys: 1, auditEntries: 1, damage: [], othersRead: false });
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  const copied = await opened(copy);
  expect(await copied.keys.list()).toEqual([plainKey('alice')]);
});

test('a copy never replaces a file', async () => {
  await opened();
  writeFileSync(copy, 'precious');
  await expect(backUp(path, copy)).rejects.toThrow(`${copy} is there already.`);
});

test('what can’t be copied leaves no file behind', async () => {
  writeFileSync(path, 'a list of things to do\n'.repeat(100));
  await expect(backUp(path, copy)).rejects.toThrow('is not a SQLite database');
  expect(existsSync(copy)).toBe(false);
});

test('it is not restored while a server has the file open', async () => {
  const store = await opened();
  await backUp(path, copy);
  await expect(restore()).rejects.toThrow(`${path} is in use. Stop the servers that use it`);
  await expect(restore(true)).rejects.toThrow('is in use');
  await store.keys.add(plainKey('alice'));
  expect(await store.keys.list()).toEqual([plainKey('alice')]);
});

test('what was there before is kept beside the restored file', async () => {
  const store = await opened();
  await store.keys.add(plainKey('alice'));
  await backUp(path, copy);
  await store.keys.add(plainKey('bob'));
  await store.close();
  const { before, facts } = await restore();
  expect(before).toBe(`${path}.before-20260131T220506`);
  expect(facts).toMatchObject({ keys: 1, othersRead: false });
  expect(await (await opened()).keys.list()).toEqual([plainKey('alice')]);
  expect(await inspect(before ?? '')).toMatchObject({ keys: 2 });
});

test('a restore is an entry of the restored audit log, after those of the copy', async () => {
  const store = await opened();
  await store.audit.add(auditEntry());
  await backUp(path, copy);
  await store.audit.add(auditEntry({ at: auditEntry().at + 1, action: 'key.revoke' }));
  await store.close();
  const entry = { at: NOW.getTime(), ...BY, action: 'data.restore', subject: '' };
  expect((await restore()).facts).toMatchObject({ auditEntries: 2 });
  const details = { from: copy, before: 'store.sqlite.before-20260131T220506' };
  const restored = await opened();
  expect(await restored.audit.list({ limit: 9 })).toEqual([{ ...entry, details }, auditEntry()]);
  await restored.close();
  rmSync(path);
  await restore();
  expect(await (await opened()).audit.list({ limit: 1 })).toEqual([
    { ...entry, details: { from: copy, before: null } },
  ]);
});

test('a damaged file is replaced only with force, as nobody can tell whether it is in use', async () => {
  const store = await opened();
  await store.keys.add(plainKey('alice'));
  await backUp(path, copy);
  await store.close();
  writeFileSync(path, 'no database any more '.repeat(500));
  await expect(restore()).rejects.toThrow('restore with --force');
  expect((await restore(true)).facts).toMatchObject({ keys: 1 });
});

test('a damaged copy is not restored', async () => {
  const store = await opened();
  await backUp(path, copy);
  await store.close();
  writeFileSync(copy, 'no database any more '.repeat(500));
  await expect(restore()).rejects.toThrow(`${copy} is not a SQLite database`);
  expect(readdirSync(folder).filter((name) => name.includes('restor'))).toEqual([]);
});

test('a file where there was none is restored as well', async () => {
  const store = await opened();
  await store.keys.add(plainKey('alice'));
  await backUp(path, copy);
  await store.close();
  rmSync(path);
  expect(await restore()).toMatchObject({ before: undefined, facts: { keys: 1 } });
});
