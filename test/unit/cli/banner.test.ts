import { expect, it } from 'vitest';
import { bannerText } from '../../../src/cli/banner.ts';

const facts = {
  version: '0.1.0',
  address: 'http://127.0.0.1:8000',
  model: { id: 'smollm2', abilities: ['generate'] as const },
  otherModels: 0,
  needsKey: false,
};

it('shows the page and its views, the terminal, the model and a first request, within 80 columns', () => {
  const text = bannerText(facts);
  expect(text).toBe(`
  llm-serve 0.1.0 is ready

  Chat      http://127.0.0.1:8000
  Live      http://127.0.0.1:8000/#/live
  API       http://127.0.0.1:8000/docs
  Terminal  npx llm-serve chat
  Model     smollm2

  curl http://127.0.0.1:8000/generate \\
    -H 'content-type: application/json' \\
    -d '{"prompt":"What is the capital of France?"}'

`);
  expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
});

it('names the other models, the key, and a request that the model can answer', () => {
  const text = bannerText({
    ...facts,
    model: { id: 'embedder', abilities: ['embed'] },
    otherModels: 2,
    needsKey: true,
  });
  expect(text).toContain('Model     embedder and 2 more (http://127.0.0.1:8000/v1/models)');
  expect(text).toContain("-H 'authorization: Bearer YOUR_KEY'");
  expect(text).toContain(`
  Keys      every request needs one. Make one:
            npx llm-serve keys create --name you
`);
  expect(text).toContain('/embed');
  expect(text).not.toMatch(/chat/i);
});

it('names the configuration file where keys are made in the store of that', () => {
  const text = bannerText({ ...facts, needsKey: true, config: 'other.yaml' });
  expect(text).toContain('npx llm-serve keys create --name you --config other.yaml');
  expect(bannerText(facts)).not.toContain('Keys');
});

it('names the server for the terminal where it is not the one that is asked anyway', () => {
  const text = bannerText({ ...facts, address: 'http://127.0.0.1:9000' });
  expect(text).toContain('npx llm-serve chat --server http://127.0.0.1:9000');
});
