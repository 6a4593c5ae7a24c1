/** A tiny embedding model as a file, for the tests of one file; removed after them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type TinyModel, type TinyModelOptions, tinyEmbeddingModel } from './tiny-embedding-model.ts';

export interface TinyModelFile extends TinyModel {
  readonly path: string;
}

const folders: string[] = [];

export async function tinyModelFile(options: TinyModelOptions = {}): Promise<TinyModelFile> {
  const folder = await mkdtemp(join(tmpdir(), 'tiny-model-'));
  folders.push(folder);
  const model = tinyEmbeddingModel(options);
  const path = join(folder, 'tiny.gguf');
  await writeFile(path, model.file);
  return { ...model, path };
}

afterAll(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
