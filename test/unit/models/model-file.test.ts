import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MODELS } from '../../../src/models/catalog.ts';
import { readGgufHeader } from '../../../src/models/gguf.ts';
import { describeGguf, fileDetails } from '../../../src/models/model-file.ts';
import { type GgufContent, ggufFile } from '../../support/gguf-file.ts';
import { makeCacheDirectory } from './model-server.ts';

describe('file details', () => {
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
});

describe('gguf description', () => {
  async function described(metadata: GgufContent['metadata'] & {}) {
    const path = join(await makeCacheDirectory(), 'some.gguf');
    await writeFile(path, ggufFile({ metadata }));
    return describeGguf(await readGgufHeader(path));
  }

  it('tells of a model that chats with tools', async () => {
    expect(
      await described({
        'general.architecture': 'qwen2',
        'general.name': 'Small',
        'general.file_type': 15,
        'general.license': 'apache-2.0',
        'qwen2.context_length': 32_768,
        'qwen2.embedding_length': 896,
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.tokens': ['a', 'b', 'c'],
        'tokenizer.chat_template': '{%- if tools %}…{% endif %}',
      }),
    ).toEqual({
      architecture: 'qwen2',
      title: 'Small',
      parameters: 32,
      fileType: 'Q4_K_M',
      contextLength: 32_768,
      embeddingLength: 896,
      pooling: undefined,
      hasChatTemplate: true,
      templateKnowsTools: true,
      tokenizer: 'gpt2',
      vocabularySize: 3,
      license: 'apache-2.0',
      abilities: ['chat', 'tools'],
    });
  });

  it.each([
    [0, 'none', []],
    [1, 'mean', ['embeddings']],
    [2, 'cls', ['embeddings']],
    [3, 'last', ['embeddings']],
    [4, 'rank', []],
  ])('pooling %i is %s and makes %j', async (number, pooling, abilities) => {
    const description = await described({ 'general.architecture': 'bert', 'bert.pooling_type': number });
    expect(description).toMatchObject({ pooling, abilities, hasChatTemplate: false });
  });

  it.each([
    [0, 'F32'],
    [1, 'F16'],
    [3, 'Q4_1'],
    [7, 'Q8_0'],
    [18, 'Q6_K'],
    [30, 'IQ4_XS'],
    [32, 'BF16'],
    [38, 'MXFP4'],
    [99, 'type 99'],
  ])('file type %i is %s', async (number, fileType) => {
    expect(await described({ 'general.file_type': number })).toMatchObject({ fileType });
  });

  it('says nothing of what the file does not say', async () => {
    expect(await described({})).toMatchObject({ architecture: undefined, abilities: [], license: undefined });
  });
});
