import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeGguf } from '../../../src/models/gguf-description.ts';
import { readGgufHeader } from '../../../src/models/gguf-header.ts';
import { type GgufContent, ggufFile } from '../../support/gguf-file.ts';
import { makeCacheDirectory } from './model-server.ts';

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
