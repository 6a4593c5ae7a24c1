/** Two real upstream servers behind one model: what one of them fails, the other answers, and no client notices. */
import { expect, onTestFinished, test } from 'vitest';
import { generate, metric, stream } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { startServer } from '../support/server.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
const PROMPT = { prompt: 'count from one to five please' };

test('of two targets one passes its probes and answers every request with 500: all of 30 requests succeed', async () => {
  const failing = await startOpenAiStandIn({});
  const healthy = await startOpenAiStandIn({});
  onTestFinished(() => Promise.all([failing.close(), healthy.close()]).then(() => {}));
  const targets = [failing, healthy].map(({ url, model }, index) => ({
    name: ['failing', 'healthy'][index],
    backend: 'openai-compatible',
    url,
    model,
    slots: 2,
  }));
  const server = await startServer({
    flags: ['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  await failing.setFault('error-500');
  for (let round = 0; round < 15; round += 1) {
    const [whole, streamed] = await Promise.all([generate(server, PROMPT), stream(server, PROMPT)]);
    expect(whole.status, whole.text).toBe(200);
    expect(streamed.status, streamed.text).toBe(200);
    expect(streamed.text).toContain('[DONE]');
  }
  await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
});

test('the only server of a model is gone: its fallback model answers, and the answer and the log name it', async () => {
  const gone = await startOpenAiStandIn({});
  const spare = await startOpenAiStandIn({});
  onTestFinished(() => Promise.all([gone.close(), spare.close()]).then(() => {}));
  const targetOf = ({ url, model }: typeof gone) => ({ backend: 'openai-compatible', url, model });
  const models = [
    { id: 'm', fallback_models: ['spare'], targets: [targetOf(gone)] },
    { id: 'spare', targets: [targetOf(spare)] },
  ];
  const server = await startServer({
    flags: ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  await gone.setFault('refuse');
  for (let round = 0; round < 5; round += 1) {
    const [whole, streamed] = await Promise.all([
      generate(server, { ...PROMPT, model: 'm' }),
      stream(server, { ...PROMPT, model: 'm' }),
    ]);
    for (const answer of [whole, streamed]) {
      expect(answer.status, answer.text).toBe(200);
      expect(answer.headers['x-served-model']).toBe('spare');
    }
    expect(whole.json()).toMatchObject({ model: 'spare', requested_model: 'm' });
    const line = await server.requestLine(String(whole.headers['x-request-id']));
    expect(line).toMatchObject({ model: 'm', servedModel: 'spare' });
  }
});
