import { readdir, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { cachePaths } from '../../../src/models/cached-file.ts';
import { MODELS } from '../../../src/models/catalog.ts';
import { listModel, listModels, removeModel } from '../../../src/models/list.ts';
import { entryOf, makeCacheDirectory, modelBytes } from './model-server.ts';

it('lists every catalogue model with whether it is there', async () => {
  const listings = await listModels(await makeCacheDirectory());
  expect(listings.map(({ entry }) => entry.name)).toEqual(MODELS.map(({ name }) => name));
  expect(listings.every(({ state }) => state === 'absent')).toBe(true);
});

it('tells a whole file from one that was cut', async () => {
  const directory = await makeCacheDirectory();
  const entry = entryOf([]);
  const { model } = cachePaths(entry, directory);
  await writeFile(model, modelBytes);
  expect(await listModel(entry, directory)).toMatchObject({ state: 'present' });
  await writeFile(model, 'GGUF');
  expect(await listModel(entry, directory)).toMatchObject({ state: 'damaged' });
});

it('removes a model’s file and stamp, and says what was there', async () => {
  const directory = await makeCacheDirectory();
  const { model, stamp } = cachePaths(MODELS[0]!, directory);
  for (const path of [model, stamp]) await writeFile(path, 'GGUF');
  expect(await removeModel(MODELS[0]!.name, directory)).toMatchObject({ state: 'damaged' });
  expect(await readdir(directory)).toEqual([]);
  expect(await removeModel(MODELS[0]!.name, directory)).toMatchObject({ state: 'absent' });
});

it('refuses to remove a name that is not in the catalogue', async () => {
  await expect(removeModel('other', await makeCacheDirectory())).rejects.toThrow(/Known names/);
});
