import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MODELS } from '../../../src/models/catalog.ts';
import { fileDetails } from '../../../src/models/file-details.ts';
import { ggufFile } from '../../support/gguf-file.ts';
import { makeCacheDirectory } from './model-server.ts';

async function file(parameters = 32): Promise<{ readonly path: string; readonly sizeBytes: number }> {
  const path = join(await makeCacheDirectory(), 'some.gguf');
  const bytes = ggufFile({
    metadata: {
      'general.architecture': 'qwen2',
      'general.file_type': 15,
      'qwen2.context_length': 32_768,
      'qwen2.embedding_length': 896,
    },
    tensors: [{ name: 'token_embd.weight', dimensions: [parameters], type: 24 }],
  });
  await writeFile(path, bytes);
  return { path, sizeBytes: bytes.length };
}

it('tells what the header says, and the size of the file', async () => {
  const { path, sizeBytes } = await file();
  expect(await fileDetails(path, path)).toEqual({
    sizeBytes,
    format: 'gguf',
    family: 'qwen2',
    families: ['qwen2'],
    parameterSize: '32',
    quantization: 'Q4_K_M',
    trainedContextSize: 32_768,
    embeddingLength: 896,
  });
});

it('writes the number of parameters as Ollama does', async () => {
  const { path } = await file(1_234_560);
  expect(await fileDetails(path, path)).toMatchObject({ parameterSize: '1.23M' });
});

it('has the checksum that the catalogue trusts the file by', async () => {
  const { path } = await file();
  const [entry] = MODELS;
  expect((await fileDetails(String(entry?.name), path)).digest).toBe(entry?.sha256);
});

it('has the checksum that was taken when it was fetched, unless it changed since', async () => {
  const { path, sizeBytes } = await file();
  const changedMs = 1_700_000_000_000;
  await utimes(path, changedMs / 1000, changedMs / 1000);
  const sha256 = 'ab'.repeat(32);
  await writeFile(`${path}.checked.json`, JSON.stringify({ sha256, sizeBytes, changedMs }));
  expect((await fileDetails(path, path)).digest).toBe(sha256);
  await utimes(path, 1, 1);
  expect(await fileDetails(path, path)).not.toHaveProperty('digest');
});
