import type { LlamaModel } from 'node-llama-cpp';
import { describe, expect, it } from 'vitest';
import {
  encodeForEmbedding,
  encodeInput,
  encodeText,
} from '../../../../../src/backends/llama-cpp/engine/embedding-input.ts';
import type { EmbeddingModel } from '../../../../../src/backends/llama-cpp/engine/embedding-library.ts';
import type { Model } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { poolingOf } from '../../../../../src/backends/llama-cpp/engine/pooling.ts';
import { normalized } from '../../../../../src/backends/llama-cpp/engine/text-vectors.ts';

const BOS = 1;
const EOS = 2;
const SEP = 3;
const TEXT = [7, 8];

function modelWith(
  vocabularyType: Model['vocabularyType'],
  flags: { prepends?: boolean; appends?: boolean } = {},
) {
  const { prepends = false, appends = false } = flags;
  return {
    vocabularyType,
    tokens: { bos: BOS, eos: EOS, sep: SEP, shouldPrependBosToken: prepends, shouldAppendEosToken: appends },
    tokenize: () => [...TEXT],
  };
}

describe('the tokens of a text', () => {
  it.each([
    ['wpm', {}, [BOS, ...TEXT, SEP]],
    ['ugm', {}, [...TEXT, EOS]],
    ['rwkv', { prepends: true, appends: true }, TEXT],
    ['bpe', { appends: true }, [...TEXT, EOS]],
    ['spm', { prepends: true, appends: true }, [BOS, ...TEXT, EOS]],
    ['spm', {}, TEXT],
  ] as const)('are framed as a vocabulary of kind %s with %o wants it', (kind, flags, tokens) => {
    expect(encodeText(modelWith(kind, flags), 'text')).toEqual(tokens);
  });

  it('may come as they are, nothing around them', () => {
    expect(encodeInput(modelWith('wpm'), 9, [8, 0, 7])).toEqual([8, 0, 7]);
    expect(encodeInput(modelWith('wpm'), 9, 'text')).toEqual([BOS, ...TEXT, SEP]);
  });

  it.each([9, -1, 1.5, Number.NaN])(
    'are refused where %s is among them, which is none of 0 to 8',
    (token) => {
      const encode = () => encodeInput(modelWith('wpm'), 9, [8, token]);
      expect(encode).toThrow(expect.objectContaining({ code: 'invalid_request', param: 'input' }));
      expect(encode).toThrow(`input names token ${token}, but this model’s tokens are 0 to 8.`);
    },
  );

  it('are told without those around them on demand, and for texts alone', () => {
    const text = { kind: 'text', prompt: 'text' } as const;
    expect(encodeForEmbedding(modelWith('wpm'), { input: text })).toEqual([BOS, ...TEXT, SEP]);
    expect(encodeForEmbedding(modelWith('wpm'), { input: text, addSpecial: false })).toEqual(TEXT);
    const chat = { kind: 'chat', messages: [] } as const;
    expect(() => encodeForEmbedding(modelWith('wpm'), { input: chat })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'messages' }),
    );
  });

  it('come from the library’s own description of a model', () => {
    const described = (model: LlamaModel): Pick<EmbeddingModel, 'tokens' | 'vocabularyType'> => model;
    expect(described).toBeTypeOf('function');
  });
});

describe('the pooling of a model file', () => {
  const file = (pooling_type?: number) => ({ general: { architecture: 'bert' }, bert: { pooling_type } });

  it.each([
    [1, 'mean'],
    [2, 'cls'],
    [3, 'last'],
    [4, 'rank'],
    [0, undefined],
    [undefined, undefined],
    [9, undefined],
  ])('%s means %s', (type, pooling) => {
    expect(poolingOf(file(type))).toBe(pooling);
  });

  it('is looked for under the file’s own architecture', () => {
    expect(poolingOf({ general: { architecture: 'qwen3' }, bert: { pooling_type: 1 } })).toBeUndefined();
    expect(poolingOf(undefined)).toBeUndefined();
  });
});

describe('a vector', () => {
  it('is given length 1', () => {
    expect(normalized(Float64Array.of(3, -4))).toEqual([0.6, -0.8]);
  });

  it('of zeros stays one', () => {
    expect(normalized(Float64Array.of(0, 0))).toEqual([0, 0]);
  });

  it('that is no vector is an error', () => {
    expect(() => normalized(Float64Array.of(1, Number.NaN))).toThrow('no numbers');
    expect(() => normalized(Float64Array.of(1, Number.POSITIVE_INFINITY))).toThrow('no numbers');
  });
});
