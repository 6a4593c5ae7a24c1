/** The store in a SQLite file keeps the contract. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openStore } from '../../src/stores/open-store.ts';
import { storeContract } from './store.ts';

storeContract('the store in a SQLite file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-store-'));
  const path = join(folder, 'deep', 'store.sqlite');
  return {
    keeps: true,
    open: () => openStore(`sqlite:${path}`),
    execute: async (...statements) => {
      const database = new DatabaseSync(path);
      for (const statement of statements) database.exec(statement);
      database.close();
    },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

describe('a store in a SQLite file that is opened later', () => {
  const place = () => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-store-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return join(folder, 'deep', 'store.sqlite');
  };

  it('is not made where it is gone, and is read once it is back', async () => {
    const path = place();
    const later = await openStore(`sqlite:${path}`, 'write', 'later');
    onTestFinished(() => later.close());
    await expect(later.keys.readAll()).rejects.toThrow(`There is no file ${path}.`);
    expect(existsSync(dirname(path))).toBe(false);
    await (await openStore(`sqlite:${path}`)).close();
    expect((await later.keys.readAll()).records).toEqual([]);
  });

  it('is not made in a file without its tables', async () => {
    const path = place();
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    const later = await openStore(`sqlite:${path}`, 'write', 'later');
    onTestFinished(() => later.close());
    await expect(later.keys.readAll()).rejects.toThrow(`${path} has none of the tables that it had.`);
  });
});
