import { lstat, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cachePaths } from '../../../src/models/cache.ts';
import { MODELS } from '../../../src/models/catalog.ts';
import { FileLock } from '../../../src/models/file-lock.ts';
import { listEntry, listModels, removeModel } from '../../../src/models/inventory.ts';
import { ggufFile } from '../../support/gguf-file.ts';
import { entryOf, makeCacheDirectory, modelBytes } from './model-server.ts';

describe('the list of models', () => {
  it('has every catalogue model with whether it is there', async () => {
    const listings = await listModels(join(await makeCacheDirectory(), 'not-made-yet'));
    expect(listings.map(({ name }) => name)).toEqual(MODELS.map(({ name }) => name));
    expect(listings.every(({ state, inCatalogue }) => state === 'absent' && inCatalogue)).toBe(true);
  });

  it('tells a whole file from one that was cut', async () => {
    const directory = await makeCacheDirectory();
    const entry = entryOf([]);
    const { model } = cachePaths(entry, directory);
    await writeFile(model, modelBytes);
    expect(await listEntry(entry, directory)).toMatchObject({ state: 'present' });
    await writeFile(model, 'GGUF');
    expect(await listEntry(entry, directory)).toMatchObject({ state: 'damaged' });
  });

  it('has every other GGUF file of the folder, and what is there of a download', async () => {
    const directory = await makeCacheDirectory();
    const metadata = {
      'general.architecture': 'bert',
      'general.license': 'mit',
      'bert.pooling_type': 1,
    };
    await writeFile(join(directory, 'hf--o--r--embeds.gguf'), ggufFile({ metadata }));
    await writeFile(join(directory, 'broken.gguf'), 'GGUF');
    await writeFile(join(directory, 'hf--o--r--half.gguf.partial'), 'GGUF');
    await writeFile(join(directory, 'notes.txt'), '');
    const others = (await listModels(directory)).filter(({ inCatalogue }) => !inCatalogue);
    expect(Object.fromEntries(others.map((listing) => [listing.name, listing]))).toMatchObject({
      'hf--o--r--embeds.gguf': { state: 'present', license: 'mit', abilities: ['embeddings'] },
      'broken.gguf': { state: 'damaged' },
      'hf--o--r--half.gguf': { state: 'absent', partialBytes: 4 },
    });
    expect(others).toHaveLength(3);
  });
});

describe('removing a model', () => {
  it('takes its file, its stamp and its partial, and says what was there', async () => {
    const directory = await makeCacheDirectory();
    const { name } = MODELS[0]!;
    const paths = cachePaths(MODELS[0]!, directory);
    for (const path of [paths.model, paths.stamp, paths.partial, paths.partialNote])
      await writeFile(path, 'GGUF');
    expect(await removeModel(name, directory)).toMatchObject({ removed: 'file' });
    expect(await readdir(directory)).toEqual([]);
    await writeFile(paths.partial, 'GGUF');
    expect(await removeModel(name, directory)).toMatchObject({ removed: 'partial' });
    expect(await removeModel(name, directory)).toMatchObject({ removed: 'nothing' });
  });

  it.each([
    ['an hf: name', () => 'hf:o/r/file.gguf'],
    ['the name of the file', () => 'hf--o--r--file.gguf'],
    ['its path', (directory: string) => join(directory, 'hf--o--r--file.gguf')],
  ])('takes %s', async (_, nameIn) => {
    const directory = await makeCacheDirectory();
    await writeFile(join(directory, 'hf--o--r--file.gguf'), 'GGUF');
    expect(await removeModel(nameIn(directory), directory)).toMatchObject({ removed: 'file' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses a name that is not in the catalogue', async () => {
    await expect(removeModel('other', await makeCacheDirectory())).rejects.toThrow(/Known names/);
  });

  it('refuses whatever is outside of the folder, however it is written', async () => {
    const directory = await makeCacheDirectory();
    const outside = await mkdtemp(join(tmpdir(), 'llm-serve-outside-'));
    const own = join(outside, 'own.gguf');
    await writeFile(own, 'GGUF');
    await mkdir(join(directory, 'folder'));
    await symlink(outside, join(directory, 'link'));
    await writeFile(join(directory, 'notes.txt'), '');
    for (const path of [
      own,
      join(directory, '..', outside.split('/').at(-1)!, 'own.gguf'),
      join(directory, 'link', 'own.gguf'),
      join(directory, 'folder', 'x.gguf'),
      join(directory, 'notes.txt'),
    ]) {
      await expect(removeModel(path, directory)).rejects.toThrow(/Only files in that folder can be removed/);
    }
    expect(await readFile(own, 'utf8')).toBe('GGUF');
  });

  it('removes a link that was put there, never what it leads to', async () => {
    const directory = await makeCacheDirectory();
    const outside = await mkdtemp(join(tmpdir(), 'llm-serve-outside-'));
    await writeFile(join(outside, 'own.gguf'), 'GGUF');
    const link = cachePaths(MODELS[0]!, directory).model;
    await symlink(join(outside, 'own.gguf'), link);
    await removeModel(MODELS[0]!.name, directory);
    await expect(lstat(link)).rejects.toThrow(/ENOENT/);
    expect(await readdir(outside)).toEqual(['own.gguf']);
    await symlink(outside, link);
    await removeModel(MODELS[0]!.name, directory);
    expect(await readdir(outside)).toEqual(['own.gguf']);
  });

  it('leaves a folder alone, and what is being downloaded', async () => {
    const directory = await makeCacheDirectory();
    const { model, lock } = cachePaths(MODELS[0]!, directory);
    await mkdir(model);
    await expect(removeModel(MODELS[0]!.name, directory)).rejects.toThrow(/is a folder/);
    const held = await FileLock.take(lock);
    await expect(removeModel(MODELS[0]!.name, directory)).rejects.toThrow(/is being downloaded/);
    await held?.release();
  });
});
