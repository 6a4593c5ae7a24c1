import { expect, it } from 'vitest';
import { embedCall, readEmbeddings } from '../../../../src/backends/ollama/embedding.ts';
import { refusal } from '../../../../src/backends/ollama/upstream-error.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { neverAborted } from '../../../support/stand-ins/generate.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';
import { runningOllama } from '../../../support/stand-ins/running-ollama.ts';

const SETTINGS = { model: 'm', keepAlive: -1, contextSize: undefined };
const context = { model: 'smollm2', contextSize: 512, clock: systemClock };

it('asks that a long text be refused, not cut, and pins the context', () => {
  expect(embedCall({ inputs: ['a', 'b'] }, { model: 'm', keepAlive: -1, contextSize: 512 })).toEqual({
    path: '/api/embed',
    body: { model: 'm', input: ['a', 'b'], keep_alive: -1, truncate: false, options: { num_ctx: 512 } },
  });
  const unpinned = embedCall({ inputs: ['a'] }, { model: 'm', keepAlive: -1, contextSize: undefined });
  expect(unpinned.body).not.toHaveProperty('options');
});

it('passes the wish for shorter vectors on', () => {
  const { body } = embedCall({ inputs: ['a'], dimensions: 2 }, SETTINGS);
  expect(body).toMatchObject({ dimensions: 2 });
});

it('refuses tokens by name: Ollama embeds text alone', () => {
  expect(() => embedCall({ inputs: ['a', [1, 2]] }, SETTINGS)).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'input' }),
  );
});

it.each([
  ['an old release does not shorten them', { release: '0.6.5' }, 2],
  ['they are shorter already', {}, 512],
] as const)('refuses the wish for vectors of another length where %s', async (_, options, dimensions) => {
  const { backend } = await runningOllama(options);
  const asked = backend.embed({ model: 'smollm2', inputs: ['a'], dimensions }, { signal: neverAborted() });
  await expect(asked).rejects.toMatchObject({
    code: 'unsupported_parameter',
    param: 'dimensions',
    message: expect.stringContaining('4 numbers'),
  });
});

it('gives the shorter vectors of a release that makes them', async () => {
  const { backend } = await runningOllama();
  const request = { model: 'smollm2', inputs: ['a', 'b'], dimensions: 2 };
  const { vectors } = await backend.embed(request, { signal: neverAborted() });
  expect(vectors.map((vector) => vector.length)).toEqual([2, 2]);
});

it('reads what was recorded', () => {
  expect(readEmbeddings(recordedJson('ollama/embed'), { inputs: ['hello', 'world'] })).toEqual({
    vectors: [
      [-0.012705961, -0.018610077, 0.0011062855, 0.026624149],
      [-0.011782182, -0.019292178, 0.001108086, 0.026212983],
    ],
    promptTokens: 2,
  });
});

it.each([
  ['too few', { embeddings: [[1]] }],
  ['none', {}],
  ['empty ones', { embeddings: [[], []] }],
  ['of two sizes', { embeddings: [[1], [1, 2]] }],
  ['with what is no number', { embeddings: [[1], [null]] }],
])('takes an answer with vectors that are %s for a failure of the backend', (_, body) => {
  expect(() => readEmbeddings(body, { inputs: ['a', 'b'] })).toThrow(
    expect.objectContaining({ code: 'backend_error' }),
  );
});

it('says that a model makes no embeddings', () => {
  const answer = { status: 501, headers: {}, body: { error: 'this model does not support embeddings' } };
  expect(refusal(answer, context)).toMatchObject({ code: 'invalid_request', param: 'model' });
});
