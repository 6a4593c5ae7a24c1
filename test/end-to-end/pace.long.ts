/** How soon: bounds by the clock, for a machine that does little else. What happens is tested in `npm test`. */
import { beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_MODEL, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { ask, generate, metric, openAnswer } from '../support/http-client.ts';
import { atThisPace } from '../support/pace.ts';
import { whenReady } from '../support/readiness.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll } from '../support/server.ts';

const POLLED = { timeout: 60_000, interval: 5 };
const endsWith = endingAfterAll();

describe('over the scripted backend', () => {
  let server: Executable;
  beforeAll(async () => {
    server = await startExecutable({ flags: scriptedFlags({ target: { slots: 1 } }), endsWith });
  });

  test('a client that leaves frees its slot within 100 ms', { retry: 2 }, async () => {
    const stream = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    await stream.until((text) => text.includes('two'));
    const next = generate(server, { prompt: 'next' });
    await expect.poll(() => metric(server, 'llm_serve_requests_waiting'), POLLED).toBe(1);
    const limitMs = await atThisPace(server, 100);
    const leftAt = performance.now();
    stream.leave();
    expect((await next).status).toBe(200);
    expect(performance.now() - leftAt, 'on a quiet machine').toBeLessThan(limitMs);
  });

  test.each([
    ['999,000 keys', () => `{${Array.from({ length: 999_000 }, (_, at) => `"k${at}":1`).join(',')}}`],
    ['10 MB of [', () => '['.repeat(10_000_000)],
  ])('a body of %s leaves /health as quick as it was', { retry: 4 }, async (_, make) => {
    const body = make();
    const headers = { 'content-type': 'application/json' };
    const posted = () => fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body });
    await expectHealthQuickBeside(server, () => posted().then((answer) => answer.text()));
  });
});

describe('over the embedded engine', () => {
  let server: Executable;
  beforeAll(async () => {
    await modelPath();
    const target = { backend: 'llama-cpp', model: DEFAULT_MODEL, context_size: 2048, gpu: 'off' };
    const models = JSON.stringify([{ id: 'demo', targets: [target] }]);
    const cache = ['--cache.directory', testCacheDirectory(), '--rate-limit.enabled', 'false'];
    server = await startExecutable({ flags: ['--models', models, ...cache], endsWith });
    await whenReady(server);
  });

  test('clients that leave mid-stream free their slots within 100 ms', { retry: 2 }, async () => {
    const body = { prompt: 'Write a long story about the sea.', max_tokens: 400 };
    const streams = await Promise.all(
      Array.from({ length: 4 }, () => openAnswer(`${server.url}/stream`, { body })),
    );
    await Promise.all(streams.map((open) => open.until((text) => text.includes('token'))));
    const limitMs = await atThisPace(server, 100);
    const leftAt = performance.now();
    for (const open of streams) open.leave();
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), POLLED).toBe(0);
    expect(performance.now() - leftAt, 'on a quiet machine').toBeLessThan(limitMs);
  });

  test('/health answers within 100 ms beside schemas that take long to compile', { retry: 5 }, async () => {
    const letter = `h${Math.floor(performance.now())}`;
    const names = Array.from({ length: 400 }, (_, at) => `${letter}_property_${at}`);
    const format = {
      type: 'object',
      properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
      required: names,
    };
    await expectHealthQuickBeside(server, () => generate(server, { prompt: 'hi', max_tokens: 1, format }));
  });
});

/** On a quiet machine /health alone takes a few milliseconds; on a loaded one that says how loaded. */
async function expectHealthQuickBeside(server: Executable, work: () => Promise<unknown>): Promise<void> {
  const alone = await slowestHealth(server, new Promise((resolve) => setTimeout(resolve, 500)));
  const beside = await slowestHealth(server, work());
  expect(beside, 'on a quiet machine').toBeLessThan(100 + 5 * alone);
}

/** In milliseconds, of those asked one after another until `end`. */
async function slowestHealth(server: Executable, end: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = end.finally(() => {
    isOver = true;
  });
  let slowest = 0;
  do {
    const startedAt = performance.now();
    expect((await ask(`${server.url}/health`)).status).toBe(200);
    slowest = Math.max(slowest, performance.now() - startedAt);
  } while (!isOver);
  await over;
  return slowest;
}
