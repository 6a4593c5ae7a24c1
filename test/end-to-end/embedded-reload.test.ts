/** The real embedded engine while the configuration changes: it stays loaded where its own keys stay, else it is replaced behind its requests. */
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  DEFAULT_MODEL,
  ENGINE_THREADS,
  isAlive,
  modelPath,
  testCacheDirectory,
} from '../support/embedded-engine.ts';
import { ask, generate, openAnswer } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { type ComposedServer, startServer } from '../support/server.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';

const WITHIN = { timeout: 120_000, interval: 50 };
const LONG = { prompt: 'Write a long story about the sea.', max_tokens: 300 };

const target = (name: string, model: string, keys: string) =>
  `{ backend: llama-cpp, name: ${name}, model: "${model}", gpu: "off", threads: ${ENGINE_THREADS}, ${keys} }`;
const configOf = (keys: string, ...others: string[]) =>
  [
    'models:',
    `  - { id: smollm2, targets: [${target('engine', DEFAULT_MODEL, keys)}] }`,
    ...others.map((other, index) => `  - { id: other${index}, targets: [${other}] }`),
    `cache: { directory: "${testCacheDirectory()}" }`,
    'rate_limit: { enabled: false }',
  ].join('\n');

beforeAll(async () => {
  await modelPath();
});

async function start(configFile: string): Promise<ComposedServer> {
  const server = await startServer({ configFile, endsWith: onTestFinished });
  await whenReady(server);
  return server;
}

async function reloadTo(server: ComposedServer, configFile: string): Promise<readonly string[]> {
  server.reconfigure({ configFile });
  const answer = await ask(`${server.url}/admin/reload`, { method: 'POST' });
  expect(answer.status, answer.text).toBe(200);
  return answer.json<{ changed: string[] }>().changed;
}

const pids = (server: ComposedServer) =>
  server
    .logs()
    .filter(({ msg }) => msg === 'engine ready')
    .map(({ pid }) => Number(pid));

test('a model stays loaded over a reload that is not about it, with its answers under way', async () => {
  const server = await start(configOf('context_size: 512, slots: 2'));
  const before = pids(server);
  const long = await openAnswer(`${server.url}/stream`, { body: LONG });
  await long.until((text) => text.includes('token'));
  const { path } = await tinyModelFile();
  const changed = await reloadTo(
    server,
    configOf('context_size: 512, slots: 2, weight: 2', target('tiny', path, 'context_size: 64')),
  );
  expect(changed).toEqual(['model other0: added', 'target engine: weight 1 → 2', 'target tiny: added']);
  expect(await long.whole).toContain('data: [DONE]');
  expect((await generate(server, { prompt: 'Hello', max_tokens: 4 })).status).toBe(200);
  expect(isAlive(before[0] ?? 0)).toBe(true);
  const embed = () => ask(`${server.url}/embed`, { body: { model: 'other0', input: 'a' } });
  await expect.poll(async () => (await embed()).status, WITHIN).toBe(200);
  // Removed again: its process ends.
  const [, tiny = 0] = pids(server);
  await reloadTo(server, configOf('context_size: 512, slots: 2'));
  await expect.poll(() => isAlive(tiny), WITHIN).toBe(false);
  expect(isAlive(before[0] ?? 0)).toBe(true);
});

test('a model with other keys is loaded beside the old one, whose answers are finished before its process ends', async () => {
  const server = await start(configOf('context_size: 512, slots: 2'));
  const [old = 0] = pids(server);
  const long = await openAnswer(`${server.url}/stream`, { body: LONG });
  await long.until((text) => text.includes('token'));
  expect(await reloadTo(server, configOf('context_size: 400, slots: 2'))).toEqual([
    'target engine: replaced',
  ]);
  expect(isAlive(old), 'while its answer is under way').toBe(true);
  // Waits in the queue while the new engine loads.
  const next = await generate(server, { prompt: 'Hello', max_tokens: 4 });
  expect(next.status, next.text).toBe(200);
  expect(await long.whole).toContain('data: [DONE]');
  await expect.poll(() => isAlive(old), WITHIN).toBe(false);
});

test('a model that cannot be loaded ends the server at the start, but not when it is added', async () => {
  const server = await start(configOf('context_size: 512, slots: 1'));
  const missing = target('missing', './no-such-model.gguf', 'context_size: 64');
  expect(await reloadTo(server, configOf('context_size: 512, slots: 1', missing))).toEqual([
    'model other0: added',
    'target missing: added',
  ]);
  await server.logged(
    ({ msg, target: id }) => msg.startsWith('the model could not be loaded') && id === 'missing',
  );
  expect((await generate(server, { prompt: 'Hello', max_tokens: 4 })).status).toBe(200);
  const refused = await generate(server, { model: 'other0', prompt: 'Hello' });
  expect(refused.json().error.code).toBe('model_not_found');
});
