/** Requests at the same time: batches form, and what happens to one request is no other's business. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  ask,
  eventsOf,
  generate,
  metric,
  openAnswer,
  send,
  stream,
  tokensOf,
} from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const WITHIN = { timeout: 60_000, interval: 20 };

describe('in eager mode', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: scriptedFlags({ target: { slots: 8 } }), endsWith });
  });

  test('of eight at once one fails, one leaves, one runs out of time: the other five answer as if alone', async () => {
    const slow = { token_delay_ms: 20, tokens: 12 };
    const ordinary = (seed: number) => ({ prompt: scripted(slow, 'red green blue'), seed });
    const alone = await Promise.all(
      [1, 2, 3, 4, 5].map(async (seed) => (await generate(server, ordinary(seed))).json().text),
    );
    const leaving = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(1);
    const others = [1, 2, 3, 4, 5].map((seed) =>
      seed % 2 ? generate(server, ordinary(seed)) : stream(server, ordinary(seed)),
    );
    const failing = generate(server, { prompt: scripted({ ...slow, fail: 'mid-stream' }) });
    const expiring = generate(server, { prompt: scripted({ fail: 'hang' }), timeout_ms: 1000 });
    expect((await failing).json().error.code).toBe('backend_error');
    leaving.destroy();
    expect((await expiring).json().error.code).toBe('deadline_exceeded');
    const answers = (await Promise.all(others)).map((answer) =>
      answer.text.startsWith('data:') ? tokensOf(answer.text) : answer.json().text,
    );
    expect(answers).toEqual(alone);
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
  });

  test('two requests with the same X-Request-Id are two requests', async () => {
    const options = { headers: { 'x-request-id': 'twin' } };
    const [first, second] = await Promise.all([
      ask(`${server.url}/generate`, { ...options, body: { prompt: 'one', max_tokens: 1 } }),
      ask(`${server.url}/generate`, { ...options, body: { prompt: 'two', max_tokens: 1 } }),
    ]);
    expect([first?.json().text, second?.json().text]).toEqual(['one', 'two']);
    expect(first?.headers['x-request-id']).toBe('twin');
    expect(first?.json().id).not.toBe(second?.json().id);
  });

  test('a long answer does not hold up short ones', async () => {
    const long = openAnswer(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    long.catch(() => {});
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => generate(server, { prompt: 'short', max_tokens: 1 })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  });
});

test('a hundred at once on four slots are all answered, each with its own answer', async () => {
  const server = await startServer({
    flags: scriptedFlags({ target: { slots: 4, token_delay_ms: 1 } }),
    endsWith: onTestFinished,
  });
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) =>
      index % 2
        ? (await generate(server, { prompt: `number${index}`, max_tokens: 2 })).json().text
        : tokensOf((await stream(server, { prompt: `number${index}`, max_tokens: 2 })).text),
    ),
  );
  expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => `number${index} number${index}`));
  expect(await metric(server, 'llm_serve_requests_total', 'status="200"')).toBeGreaterThanOrEqual(100);
  expect(await metric(server, 'llm_serve_generation_tokens_total')).toBe(200);
});

test('what queued while nothing could be served leaves as one batch', async () => {
  const server = await startServer({
    flags: scriptedFlags({ target: { slots: 3, load_ms: 6000 } }),
    endsWith: onTestFinished,
  });
  const queued = Array.from({ length: 3 }, () => generate(server, { prompt: 'hi', max_tokens: 1 }));
  await expect.poll(() => metric(server, 'llm_serve_requests_waiting'), WITHIN).toBe(3);
  const batches = (await Promise.all(queued)).map((answer) => answer.json().batch);
  expect(batches.map(({ size }) => size)).toEqual([3, 3, 3]);
  expect(new Set(batches.map(({ id }) => id)).size).toBe(1);
});

test('in window mode those that arrive within the window share a batch', async () => {
  const server = await startServer({
    flags: [
      ...scriptedFlags({ target: { slots: 8 } }),
      ...['--scheduler.mode', 'window', '--scheduler.window-ms', '5000', '--scheduler.max-batch-size', '4'],
    ],
    endsWith: onTestFinished,
  });
  const batchOf = async () => (await generate(server, { prompt: 'hi', max_tokens: 1 })).json().batch;
  const three = await Promise.all([batchOf(), batchOf(), batchOf()]);
  expect(three.map(({ size }) => size)).toEqual([3, 3, 3]);
  expect(new Set(three.map(({ id }) => id)).size).toBe(1);
  const startedAt = performance.now();
  const four = await Promise.all([batchOf(), batchOf(), batchOf(), batchOf()]);
  expect(four.map(({ size }) => size)).toEqual([4, 4, 4, 4]);
  expect(performance.now() - startedAt, 'a full batch waits for nothing').toBeLessThan(5000);
});

describe('a stream that is silent', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({
      flags: [...scriptedFlags({ target: { slots: 1 } }), '--server.heartbeat-seconds', '0.2'],
      endsWith,
    });
  });

  test('commits after heartbeat_seconds, sends comments, then its tokens', async () => {
    const answer = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ text: 'late but here', first_token_delay_ms: 3000 }) },
    });
    expect(answer.status).toBe(200);
    expect(Number(answer.headers['x-response-time-ms'])).toBeGreaterThanOrEqual(195);
    expect(Number(answer.headers['x-response-time-ms'])).toBeLessThan(3000);
    const text = await answer.whole;
    expect(text).toMatch(/^:\n:\n/);
    expect(tokensOf(text)).toBe('late but here');
    expect(text).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('sends comments between tokens too', async () => {
    const { text } = await stream(server, { prompt: scripted({ text: 'one two', token_delay_ms: 500 }) });
    expect(text).toMatch(/^(:\n)*data: \{"token":"one"\}\n\n:\n(:\n)*data: \{"token":" two"\}/);
  });

  test('commits in the queue too, so that what follows is an event', async () => {
    const busy = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(1);
    const answer = await stream(server, { prompt: 'hi', timeout_ms: 3000 });
    busy.destroy();
    expect(answer.status).toBe(200);
    expect(eventsOf(answer.text).map(({ error }) => error?.code)).toEqual(['queue_timeout']);
    expect(answer.text).not.toContain('[DONE]');
  });

  test('is told its place in the queue when it asks for that', async () => {
    const busy = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(1);
    const answer = await openAnswer(`${server.url}/stream`, {
      headers: { 'x-queue-events': '1' },
      body: { prompt: 'hi', max_tokens: 1 },
    });
    await answer.until((text) => text.includes('"queue":{"position":1'));
    busy.destroy();
    expect(tokensOf(await answer.whole)).toBe('hi');
  });
});

test('the metrics that dashboards rely on are there', async () => {
  const server = await startServer({ flags: scriptedFlags(), endsWith: onTestFinished });
  await generate(server, { prompt: 'hi' });
  const { text } = await ask(`${server.url}/metrics`);
  const names = [...text.matchAll(/^# TYPE llm_serve_(\w+) (\w+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  expect(names).toEqual(
    expect.arrayContaining([
      'requests_running gauge',
      'requests_waiting gauge',
      'oldest_request_seconds gauge',
      'time_to_first_token_seconds histogram',
      'inter_token_latency_seconds histogram',
      'request_queue_time_seconds histogram',
      'e2e_request_latency_seconds histogram',
      'batch_size histogram',
      'prompt_tokens_total counter',
      'generation_tokens_total counter',
      'requests_total counter',
      'rejected_total counter',
      'cancelled_total counter',
      'target_up gauge',
      'slots_used gauge',
      'slots gauge',
      'build_info gauge',
    ]),
  );
  expect(text).toContain('llm_serve_requests_total{route="/generate",status="200",model="demo"} 1');
  expect(text).toContain('llm_serve_target_up{model="demo",target="demo/scripted/0"} 1');
});
