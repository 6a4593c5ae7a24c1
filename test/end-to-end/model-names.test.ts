/** What clients may call a model: its id, an alias, and what they hear of it. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, generate } from '../support/http-client.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const MODELS = [
  {
    id: 'org/small',
    aliases: ['gpt-4o-mini', 'org/other'],
    targets: [{ backend: 'scripted', model: 'demo' }],
  },
];

describe('a request that names no model', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    const models = [
      { id: 'first', targets: [{ backend: 'scripted', model: 'first' }] },
      { id: 'second', targets: [{ backend: 'scripted', model: 'second' }] },
    ];
    const flags = ['--models', JSON.stringify(models), '--default-model', 'second'];
    server = await startServer({ flags, endsWith });
  });

  const messages = [{ role: 'user', content: 'hi' }];
  const BODIES = {
    '/v1/chat/completions': { messages },
    '/v1/completions': { prompt: 'hi' },
    '/v1/responses': { input: 'hi' },
    '/v1/embeddings': { input: 'hi' },
    '/v1/messages': { messages, max_tokens: 8 },
    '/api/chat': { messages, stream: false },
    '/api/generate': { prompt: 'hi', stream: false },
    '/api/embed': { input: 'hi' },
  };

  test.each(Object.entries(BODIES))('asks the default model at %s', async (path, body) => {
    for (const asked of [body, { ...body, model: null }]) {
      const answer = await ask(`${server.url}${path}`, { body: asked });
      expect(answer.status).toBe(200);
      expect(answer.json().model).toBe('second');
    }
  });

  test('asks about the default model where no answer names one', async () => {
    expect((await ask(`${server.url}/api/show`, { body: {} })).status).toBe(200);
    const older = await ask(`${server.url}/api/embeddings`, { body: { prompt: 'hi' } });
    expect(older.json<{ embedding: number[] }>().embedding).not.toEqual([]);
  });
});

describe('a model with aliases', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: ['--models', JSON.stringify(MODELS)], endsWith });
  });

  test('answers to each of its names, and says its id', async () => {
    for (const model of ['org/small', 'gpt-4o-mini', 'org/other']) {
      const answer = await generate(server, { prompt: 'hi', model, max_tokens: 2 });
      expect(answer.status).toBe(200);
      expect(answer.json().model).toBe('org/small');
    }
    const unknown = await generate(server, { prompt: 'hi', model: 'org' });
    expect(unknown.json().error).toMatchObject({ code: 'model_not_found', param: 'model' });
  });

  test('answers to the names that Ollama’s list has, whichever way it is asked', async () => {
    const { models } = (await ask(`${server.url}/api/tags`)).json<{ models: { name: string }[] }>();
    for (const { name: model } of models) {
      expect(model).toMatch(/:latest$/);
      const body = { model, max_tokens: 2, messages: [{ role: 'user', content: 'hi' }] };
      for (const path of ['/v1/chat/completions', '/v1/messages', '/api/chat'])
        expect((await ask(`${server.url}${path}`, { body })).status, `${path} ${model}`).toBe(200);
    }
  });

  test('is listed under all of them', async () => {
    const { data } = (await ask(`${server.url}/v1/models`)).json<{ data: { id: string }[] }>();
    expect(data.map(({ id }) => id)).toEqual(['org/small', 'gpt-4o-mini', 'org/other']);
    for (const name of ['org/small', 'org%2Fsmall', 'gpt-4o-mini'])
      expect((await ask(`${server.url}/v1/models/${name}`)).status).toBe(200);
    expect((await ask(`${server.url}/v1/models/org`)).status).toBe(404);
  });
});
