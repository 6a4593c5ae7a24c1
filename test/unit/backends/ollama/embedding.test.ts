import { expect, it } from 'vitest';
import { embedCall, readEmbeddings } from '../../../../src/backends/ollama/embedding.ts';
import { refusal } from '../../../../src/backends/ollama/upstream-error.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';

const context = { model: 'smollm2', contextSize: 512, clock: systemClock };

it('asks that a long text be refused, not cut, and pins the context', () => {
  expect(embedCall(['a', 'b'], { model: 'm', keepAlive: -1, contextSize: 512 })).toEqual({
    path: '/api/embed',
    body: { model: 'm', input: ['a', 'b'], keep_alive: -1, truncate: false, options: { num_ctx: 512 } },
  });
  const unpinned = embedCall(['a'], { model: 'm', keepAlive: -1, contextSize: undefined });
  expect(unpinned.body).not.toHaveProperty('options');
});

it('reads what was recorded', () => {
  expect(readEmbeddings(recordedJson('ollama/embed'), 2)).toEqual({
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
  expect(() => readEmbeddings(body, 2)).toThrow(expect.objectContaining({ code: 'backend_error' }));
});

it('says that a model makes no embeddings', () => {
  const answer = { status: 501, headers: {}, body: { error: 'this model does not support embeddings' } };
  expect(refusal(answer, context)).toMatchObject({ code: 'invalid_request', param: 'model' });
});
