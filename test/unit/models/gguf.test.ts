import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GgufError, readGgufHeader } from '../../../src/models/gguf.ts';
import { type GgufContent, ggufFile } from '../../support/gguf-file.ts';
import { makeCacheDirectory } from './model-server.ts';

async function written(bytes: Uint8Array): Promise<string> {
  const path = join(await makeCacheDirectory(), 'some.gguf');
  await writeFile(path, bytes);
  return path;
}

const read = async (content: GgufContent | Uint8Array) =>
  readGgufHeader(await written(content instanceof Uint8Array ? content : ggufFile(content)));

const vocabulary = Array.from({ length: 100_000 }, (_, index) => `token ${index} `.repeat(3));

describe('a GGUF header', () => {
  it('gives metadata of every kind', async () => {
    const { metadata, version } = await read({
      metadata: {
        'general.architecture': 'llama',
        'llama.context_length': 8192,
        'general.flag': true,
        'general.large': 2n ** 40n,
        'llama.rope.freq_base': { float: 0.5 },
        'tokenizer.ggml.tokens': ['a', 'b', 'c'],
        'tokenizer.ggml.token_type': [1, 2],
        'tokenizer.chat_template': '{{ messages }}',
      },
    });
    expect(version).toBe(3);
    expect(Object.fromEntries(metadata)).toEqual({
      'general.architecture': 'llama',
      'llama.context_length': 8192,
      'general.flag': true,
      'general.large': 2n ** 40n,
      'llama.rope.freq_base': 0.5,
      'tokenizer.ggml.tokens': { elements: 3 },
      'tokenizer.ggml.token_type': { elements: 2 },
      'tokenizer.chat_template': '{{ messages }}',
    });
  });

  it('passes over a vocabulary that is larger than what it reads at once', async () => {
    const { metadata } = await read({ metadata: { tokens: vocabulary, after: 'found' } });
    expect(metadata.get('after')).toBe('found');
    expect(metadata.get('tokens')).toEqual({ elements: vocabulary.length });
  });

  it('passes over a text that is too long to keep', async () => {
    const { metadata } = await read({ metadata: { long: 'x'.repeat(1_100_000), after: 1 } });
    expect(metadata.get('long')).toEqual({ textBytes: 1_100_000 });
    expect(metadata.get('after')).toBe(1);
  });

  it('counts parameters, and sees that the tensors are all there', async () => {
    const tensors = [
      { name: 'a', dimensions: [3, 5] },
      { name: 'b', dimensions: [7], type: 1 },
    ] as const;
    const bytes = ggufFile({ tensors });
    expect((await read(bytes)).tensors).toMatchObject({ count: 2, parameters: 22 });
    await expect(read(bytes.subarray(0, bytes.length - 30))).rejects.toThrow(
      /is truncated: it has \d+ bytes/,
    );
  });
});

describe('what is no whole GGUF file is refused with the reason', () => {
  const whole = ggufFile();
  it.each<[string, Uint8Array, RegExp]>([
    ['0 bytes', Buffer.alloc(0), /is empty/],
    ['two bytes', Buffer.from('GG'), /is not a GGUF file/],
    ['another kind of file', Buffer.from('<html>not found</html>'), /is not a GGUF file/],
    ['the magic alone', Buffer.from('GGUF'), /is truncated/],
    ['half a header', whole.subarray(0, 40), /is truncated|is damaged/],
    ['an old version', ggufFile({ version: 1 }), /version 1, and only 2 and 3/],
    ['a version to come', ggufFile({ version: 4 }), /version 4/],
    ['big-endian', ggufFile({ version: 0x03000000 }), /big-endian/],
    [
      'more entries than bytes',
      ggufFile({ claims: { entries: 2n ** 60n } }),
      /declares \d+ metadata entries/,
    ],
    ['more tensors than bytes', ggufFile({ claims: { tensors: 2n ** 63n } }), /declares \d+ tensors/],
    ['an unknown type of value', withByte(whole, 52, 99), /unknown type 99/],
    ['a text without an end', withByte(whole, 60, 255), /declares a string/],
  ])('%s', async (_, bytes, reason) => {
    const failure = await read(bytes).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(GgufError);
    expect((failure as Error).message).toMatch(reason);
  });

  it('a folder', async () => {
    const path = join(await makeCacheDirectory(), 'folder.gguf');
    await mkdir(path);
    await expect(readGgufHeader(path)).rejects.toThrow(/is a folder/);
  });

  it('wherever it was cut, and whatever bytes were changed: a reason, never anything else', async () => {
    const path = await written(whole);
    for (let size = whole.length - 1; size > 0; size -= 7) {
      await truncate(path, size);
      await expect(readGgufHeader(path)).rejects.toBeInstanceOf(GgufError);
    }
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const damaged = Buffer.from(whole);
        for (const [at, byte] of changes) damaged[at] = byte;
        await writeFile(path, damaged);
        const result = await readGgufHeader(path).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(GgufError);
      }),
      { numRuns: 200 },
    );
  });
});

function withByte(bytes: Buffer, at: number, byte: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = byte;
  return changed;
}
