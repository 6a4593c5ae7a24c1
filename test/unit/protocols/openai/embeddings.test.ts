import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import type { RequestId } from '../../../../src/core/generation.ts';
import { base64Floats, embeddingsRoute } from '../../../../src/protocols/openai/embeddings.ts';
import { ANSWER, parseContext } from '../../../support/protocol-answers.ts';

const parse = (fields: object) => embeddingsRoute.parse({ model: 'm', ...fields }, parseContext());

function refusedField(fields: object): string | undefined {
  try {
    parse(fields);
  } catch (error) {
    if (error instanceof ServingError && error.code === 'invalid_request') return error.param;
  }
  return 'nothing';
}

describe('an embeddings body', () => {
  it.each([
    ['a', ['a']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[1, 2], [[1, 2]]],
    [
      [[1], [2, 3]],
      [[1], [2, 3]],
    ],
  ])('with the input %j asks for %j', (input, inputs) => {
    expect(parse({ input, dimensions: null, user: 'me', unknown: 1 }).request).toEqual({
      model: 'm',
      inputs,
      user: 'me',
    });
  });

  it('may ask for a length', () => {
    expect(parse({ input: 'a', dimensions: 5 }).request).toMatchObject({ dimensions: 5 });
  });

  it.each([
    [{ input: '' }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: null }, 'input'],
    [{ input: ['a', ''] }, 'input[1]'],
    [{ input: ['a', [1]] }, 'input[1]'],
    [{ input: [1, 'a'] }, 'input[1]'],
    [{ input: [[1], []] }, 'input[1]'],
    [{ input: [[1], [-1]] }, 'input[1][0]'],
    [{ input: [true] }, 'input'],
    [{ input: Array.from({ length: 2049 }, () => 'a') }, 'input'],
    [{ input: 'a', encoding_format: 'int8' }, 'encoding_format'],
    [{ input: 'a', dimensions: '5' }, 'dimensions'],
    [{ input: 'a', model: '' }, 'model'],
  ])('is rejected with the field: %#', (fields, param) => {
    expect(refusedField(fields)).toBe(param);
  });
});

describe('vectors', () => {
  const answer = { ...ANSWER, id: 'emb_1' as RequestId };

  it('come as numbers, or in base64', () => {
    const embeddings = { vectors: [[1, -0.5]], promptTokens: 2 };
    const usage = { prompt_tokens: 2, total_tokens: 2 };
    expect(parse({ input: 'a' }).render(embeddings, answer)).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [1, -0.5] }],
      model: 'm',
      usage,
    });
    expect(parse({ input: 'a', encoding_format: 'base64' }).render(embeddings, answer)).toMatchObject({
      data: [{ embedding: 'AACAPwAAAL8=' }],
    });
  });

  it('of any length are little-endian floats in base64', () => {
    const values = Array.from({ length: 5000 }, (_, index) => Math.sin(index));
    const bytes = Buffer.from(base64Floats(values), 'base64');
    expect(values.map((_, index) => bytes.readFloatLE(index * 4))).toEqual(values.map(Math.fround));
    expect(base64Floats([])).toBe('');
  });
});
