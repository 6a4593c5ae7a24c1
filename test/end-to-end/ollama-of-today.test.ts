/** The whole server in front of Ollama as it is since 0.30: one runner for each file of weights, and names that share it. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, generate } from '../support/http-client.ts';
import { isReady, whenReady } from '../support/readiness.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { type OllamaStandIn, startOllamaStandIn } from '../support/stand-ins/ollama-stand-in.ts';
import { deleteModel } from '../support/stand-ins/running-ollama.ts';

interface Listed {
  readonly name: string;
  readonly digest: string;
  readonly size: number;
}

const WITHIN = { timeout: 120_000, interval: 20 };

describe('three names of the same weights', () => {
  const endsWith = endingAfterAll();
  let standIn: OllamaStandIn;
  let server: RunningServer;

  beforeAll(async () => {
    const otherNames = ['smollm2-tools', 'spare'];
    standIn = await startOllamaStandIn({ release: '0.32.15', loaded: false, otherNames });
    endsWith(() => standIn.close());
    const models = [standIn.model, ...otherNames].map((model) => ({
      id: model,
      aliases: model === 'spare' ? ['gpt-4o-mini'] : [],
      targets: [{ backend: 'ollama', url: standIn.url, model, slots: 2 }],
    }));
    const flags = ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'];
    server = await startServer({ flags, endsWith });
    await whenReady(server);
  });

  test('are all ready, and cost one load together, however often they are asked', async () => {
    const statuses = async () =>
      (await ask(`${server.url}/ready`))
        .json<{ models: { status: string }[] }>()
        .models.map(({ status }) => status);
    await expect.poll(statuses, WITHIN).toEqual(['ready', 'ready', 'ready']);
    const seen: boolean[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      for (const model of ['smollm2', 'smollm2-tools', 'spare']) {
        const answer = await generate(server, { prompt: 'hi', model, max_tokens: 2 });
        expect(answer.status, answer.text).toBe(200);
        seen.push(await isReady(server));
      }
    }
    expect(standIn.loads()).toBe(1);
    expect(new Set(seen)).toEqual(new Set([true]));
  });

  test('are listed with digests of their own, which only an alias shares, and with their sizes', async () => {
    const { models } = (await ask(`${server.url}/api/tags`)).json<{ models: Listed[] }>();
    const digestOf = (name: string) => models.find((model) => model.name === `${name}:latest`)?.digest;
    expect(digestOf('gpt-4o-mini')).toBe(digestOf('spare'));
    expect(new Set(models.map(({ digest }) => digest)).size).toBe(3);
    for (const { digest, size } of models) {
      expect(digest).toMatch(/^(?!0{64})[0-9a-f]{64}$/);
      expect(size).toBeGreaterThan(98_000_000);
    }
  });

  test('are asked in any case on Ollama’s routes, and only as they are spelled on others', async () => {
    const body = { model: 'SmolLM2:Latest', messages: [{ role: 'user', content: 'hi' }], stream: false };
    expect((await ask(`${server.url}/api/chat`, { body })).status).toBe(200);
    expect((await ask(`${server.url}/v1/chat/completions`, { body })).status).toBe(404);
  });

  test('what a client says and changes nothing is named', async () => {
    const body = {
      model: 'smollm2',
      prompt: 'hi',
      stream: false,
      keep_alive: '5m',
      options: { num_ctx: 512 },
    };
    const { status, headers } = await ask(`${server.url}/api/generate`, { body });
    expect([status, headers['x-dropped-parameters']]).toEqual([200, 'keep_alive, options.num_ctx']);
    expect(standIn.loads()).toBe(1);
  });

  test('a client that unloads one is told so, and the others go on', async () => {
    const body = { model: 'smollm2', keep_alive: 0 };
    const answer = await ask(`${server.url}/api/generate`, { body });
    expect(answer.json<object>()).toMatchObject({ done: true, done_reason: 'unload' });
    expect(answer.headers['x-dropped-parameters']).toBe('keep_alive');
    expect(await isReady(server)).toBe(true);
    expect(standIn.loads()).toBe(1);
  });

  test('one that is deleted is not found, at once and from then on', async () => {
    await deleteModel(standIn, 'spare');
    const asked = () => generate(server, { prompt: 'hi', model: 'spare', max_tokens: 2 });
    expect((await asked()).json().error.code).toBe('model_not_found');
    const reasons = async () =>
      (await ask(`${server.url}/ready`))
        .json<{ models: { reason?: string }[] }>()
        .models.map(({ reason }) => reason);
    await expect.poll(reasons, WITHIN).toEqual([undefined, undefined, 'model_not_found']);
    const answer = await asked();
    expect([answer.status, answer.json().error.code]).toEqual([404, 'model_not_found']);
    expect((await generate(server, { prompt: 'hi', model: 'smollm2', max_tokens: 2 })).status).toBe(200);
  });
});
