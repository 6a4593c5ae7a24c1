/** Commands that only read leave the file as it is. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../../src/stores/open-store.ts';
import type { Store } from '../../../src/stores/store.ts';
import { auditEntry, plainKey, usageRow } from '../../support/stores/records.ts';

describe('a SQLite file that is read', () => {
  let folder = '';
  let path = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'llm-serve-read-'));
    path = join(folder, 'store.sqlite');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const reading = () => openStore(`sqlite:${path}`, 'read');

  async function written(): Promise<void> {
    const store = await openStore(`sqlite:${path}`);
    await store.keys.add(plainKey('alice'));
    await store.usage.add([usageRow()], 'batch');
    await store.audit.add(auditEntry());
    await store.close();
  }

  function execute(statement: string): unknown {
    const database = new DatabaseSync(path);
    const row = database.prepare(statement).get();
    database.close();
    return row;
  }

  const contents = async (store: Store) => ({
    keys: (await store.keys.list()).map(({ name }) => name),
    requests: (await store.usage.report({ by: [], from: 0, to: Number.MAX_SAFE_INTEGER })).length,
    entries: (await store.audit.list({ limit: 10 })).length,
  });

  test('is not created: it is as if it were empty', async () => {
    expect(await contents(await reading())).toEqual({ keys: [], requests: 0, entries: 0 });
    expect(existsSync(path)).toBe(false);
  });

  test('has what was written, takes no writes, and leaves nothing beside it', async () => {
    await written();
    const store = await reading();
    onTestFinished(() => store.close());
    expect(await contents(store)).toEqual({ keys: ['alice'], requests: 1, entries: 1 });
    await expect(store.keys.add(plainKey('bob'))).rejects.toMatchObject({ fault: 'refused' });
    await store.close();
    expect(readdirSync(folder)).toEqual(['store.sqlite']);
  });

  test('of an older version stays as it is, and the error says what brings it up to date', async () => {
    await written();
    execute('DELETE FROM llm_serve_versions WHERE version > 2 RETURNING version');
    await expect(reading()).rejects.toMatchObject({
      fault: 'too_old',
      message: expect.stringContaining('llm-serve data migrate'),
    });
    expect(execute('SELECT max(version) AS version FROM llm_serve_versions')).toEqual({ version: 2 });
  });

  test('of a newer version is refused', async () => {
    await written();
    execute('INSERT INTO llm_serve_versions (version, applied_at) VALUES (99, 0) RETURNING version');
    await expect(reading()).rejects.toMatchObject({ fault: 'too_new' });
  });
});
