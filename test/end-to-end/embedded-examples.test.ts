/** Every example of /openapi.json works on the default model as it stands, beside a model that embeds where one is needed. */
import { expect, test } from 'vitest';
import { describedExamples } from '../support/described-examples.ts';
import { testCacheDirectory } from '../support/embedded-engine.ts';
import { ask } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll, startServer } from '../support/server.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';

const endsWith = endingAfterAll();

test('every example of the description is answered with 200', async () => {
  const { path: embedder } = await tinyModelFile();
  const target = { backend: 'llama-cpp', gpu: 'off' };
  const models = [
    { id: 'smollm2', targets: [{ ...target, model: 'smollm2-135m-instruct' }] },
    { id: 'embedder', targets: [{ ...target, model: embedder, context_size: 64 }] },
  ];
  const flags = ['--models', JSON.stringify(models), '--cache.directory', testCacheDirectory()];
  const server = await startServer({ flags, endsWith });
  await whenReady(server);
  for (const { path, body } of await describedExamples(server)) {
    const { status } = await ask(`${server.url}${path}`, { body });
    expect([path, status]).toEqual([path, 200]);
  }
}, 120_000);
