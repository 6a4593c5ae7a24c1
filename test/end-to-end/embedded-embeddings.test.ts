/** The whole server over the embedded engine with two tiny models: one that embeds, one that generates. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ENGINE_THREADS } from '../support/embedded-engine.ts';
import { ask, generate, metric, send } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { type TinyModelFile, tinyModelFile } from '../support/tiny-model-file.ts';

interface EmbedAnswer {
  readonly id: string;
  readonly model: string;
  readonly embeddings: readonly (readonly number[])[];
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
  readonly error: { readonly code: string; readonly message: string; readonly param: string | null };
}

const WITHIN = { timeout: 60_000, interval: 20 };

describe('a model that embeds', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  let tiny: TinyModelFile;

  const embed = async (body: Readonly<Record<string, unknown>>) => {
    const answer = await ask(`${server.url}/embed`, { body });
    return { ...answer, body: answer.json<EmbedAnswer>() };
  };
  const underWay = async () =>
    (await metric(server, 'llm_serve_requests_running')) +
    (await metric(server, 'llm_serve_requests_waiting'));
  const promptTokens = () => metric(server, 'llm_serve_prompt_tokens_total', 'model="embedder"');

  beforeAll(async () => {
    tiny = await tinyModelFile({ trainedContext: 64 });
    const generator = await tinyModelFile({ architecture: 'llama', pooling: 'none', trainedContext: 64 });
    const target = (path: string) => ({
      backend: 'llama-cpp',
      model: path,
      context_size: 64,
      slots: 2,
      gpu: 'off',
      threads: ENGINE_THREADS,
    });
    const models = [
      { id: 'embedder', targets: [target(tiny.path)] },
      { id: 'generator', targets: [target(generator.path)] },
    ];
    const flags = [
      '--models',
      JSON.stringify(models),
      '--default-model',
      'embedder',
      '--rate-limit.enabled',
      'false',
    ];
    server = await startServer({ flags, endsWith });
    await whenReady(server);
  });

  test('is ready like any other', async () => {
    const ready = await ask(`${server.url}/ready`);
    expect(ready.json()).toMatchObject({
      status: 'ready',
      models: [
        { id: 'embedder', status: 'ready', targets: [{ backend: 'llama-cpp', loaded: true }] },
        { id: 'generator' },
      ],
    });
  });

  test('answers with the vectors computed by hand, in order, and counts the tokens', async () => {
    const before = await promptTokens();
    const texts = ['the cat sits on the mat', 'revenue grew', 'the cat sits on the mat'];
    const { status, headers, body } = await embed({ input: texts });
    expect(status).toBe(200);
    expect(body).toMatchObject({ model: 'embedder', usage: { prompt_tokens: 20, total_tokens: 20 } });
    expect(body.id).toMatch(/^emb_[0-9a-f]{24}$/);
    for (const [index, text] of texts.entries()) {
      const expected = tiny.vectorOf(text);
      expect(body.embeddings[index]).toHaveLength(expected.length);
      for (const [place, value] of expected.entries())
        expect(body.embeddings[index]?.[place]).toBeCloseTo(value, 5);
    }
    const line = await server.requestLine(String(headers['x-request-id']));
    expect(line).toMatchObject({
      path: '/embed',
      status: 200,
      model: 'embedder',
      target: 'embedder/llama-cpp/0',
      promptTokens: 20,
    });
    expect(line).not.toHaveProperty('finishReason');
    expect(line).not.toHaveProperty('ttftMs');
    await expect.poll(promptTokens, WITHIN).toBe(before + 20);
    expect(await metric(server, 'llm_serve_requests_total', 'route="/embed",status="200"')).toBeGreaterThan(
      0,
    );
  });

  test('refuses a text longer than its context with both numbers', async () => {
    const { status, body } = await embed({ input: ['cat', 'word '.repeat(63)] });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'context_length_exceeded', param: 'input' });
    expect(body.error.message).toMatch(/Text 2 of the input has 65 tokens.*64/);
  });

  test('does not generate', async () => {
    const answer = await generate(server, { prompt: 'hello' });
    expect(answer.status).toBe(400);
    expect(answer.json().error).toMatchObject({ code: 'invalid_request', param: 'model' });
  });

  test('is what a model that generates is not', async () => {
    const { status, body } = await embed({ input: 'cat', model: 'generator' });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_request', param: 'model' });
    expect(body.error.message).toContain('pooling_type');
  });

  test('gives its slots back when clients leave', async () => {
    const long = { input: Array.from({ length: 256 }, () => 'the cat sits on the mat') };
    const sent = Array.from({ length: 32 }, () => send(`${server.url}/embed`, { body: long }));
    await expect.poll(underWay, WITHIN).toBeGreaterThan(0);
    for (const request of sent) request.destroy();
    await expect.poll(underWay, WITHIN).toBe(0);
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
    await expect.poll(() => metric(server, 'llm_serve_cancelled_total'), WITHIN).toBeGreaterThan(0);
    expect((await embed({ input: 'cat' })).status).toBe(200);
  });
});
