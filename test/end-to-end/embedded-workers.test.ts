/** Two workers and one embedded engine, as the executable runs them: one engine for both, and what each death costs. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  DEFAULT_MODEL,
  ENGINE_THREADS,
  isAlive,
  modelPath,
  testCacheDirectory,
} from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { eventsOf, generate, type OpenAnswer, openAnswer, stream, tokensOf } from '../support/http-client.ts';
import { childrenOf } from '../support/process-table.ts';
import { whenReady } from '../support/readiness.ts';
import { type EndsWith, endingAfterAll } from '../support/server.ts';

const WITHIN = { timeout: 120_000, interval: 20 };
const PROMPTS = ['Write a long story about the sea.', 'Describe how bread is made.'];

const greedy = (prompt: string, max_tokens = 48) => ({ prompt, temperature: 0, max_tokens });

function start(endsWith: EndsWith, environment: Readonly<Record<string, string>> = {}): Promise<Executable> {
  const target = { backend: 'llama-cpp', gpu: 'off', threads: ENGINE_THREADS, model: DEFAULT_MODEL };
  const models = [{ id: 'smollm2', targets: [{ ...target, context_size: 512, slots: 2 }] }];
  return startExecutable({
    flags: [
      ...['--models', JSON.stringify(models), '--cache.directory', testCacheDirectory()],
      ...['--rate-limit.enabled', 'false', '--server.workers', '2'],
    ],
    environment,
    endsWith,
  });
}

/** And it is in the log, which has its process. */
async function engineReady(server: Executable): Promise<void> {
  await whenReady(server);
  await server.logged(({ msg }) => msg === 'engine ready');
}

const enginePids = (server: Executable) =>
  server.logs().flatMap(({ msg, pid }) => (msg === 'engine ready' ? [Number(pid)] : []));

const workerPids = (server: Executable) =>
  childrenOf(server.pid).flatMap(({ pid, command }) => (command.includes('worker') ? [pid] : []));

const tokensIn = (text: string) => text.split('"token"').length - 1;

/** One stream of each prompt, each with some tokens by now: the connections go to the worker that has fewer. */
async function streams(server: Executable, maxTokens?: number): Promise<OpenAnswer[]> {
  const open = (prompt: string) => openAnswer(`${server.url}/stream`, { body: greedy(prompt, maxTokens) });
  const both = [];
  for (const prompt of PROMPTS) both.push(await open(prompt));
  await Promise.all(both.map(({ until }) => until((text) => tokensIn(text) >= 5)));
  return both;
}

describe('two workers with one embedded engine', () => {
  const endsWith = endingAfterAll();
  let server: Executable;
  beforeAll(async () => {
    await modelPath();
    server = await start(endsWith);
    await engineReady(server);
  });

  test('answer side by side, with one engine process that the control process has started', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () =>
        generate(server, { prompt: 'What is the capital of France?', max_tokens: 32 }),
      ),
    );
    for (const answer of answers)
      expect(answer.json<{ text: string }>().text, answer.text).toContain('Paris');
    const lines = await Promise.all(
      answers.map(({ headers }) => server.requestLine(String(headers['x-request-id']))),
    );
    expect(new Set(lines.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
    expect(enginePids(server)).toHaveLength(1);
    expect(childrenOf(server.pid).map(({ pid }) => pid)).toContain(enginePids(server)[0]);
    for (const pid of workerPids(server)) expect(childrenOf(pid)).toEqual([]);
  });

  test('constrain answers each with its own grammars, which the one engine follows', async () => {
    const body = { prompt: 'Is the sky blue?', choice: ['yes', 'no'], max_tokens: 8 };
    const answers = await Promise.all(Array.from({ length: 4 }, () => generate(server, body)));
    for (const answer of answers)
      expect(['yes', 'no'], answer.text).toContain(answer.json<{ text: string }>().text);
  });

  test('go on with their streams where the engine is killed, at the next one', async () => {
    const alone: string[] = [];
    for (const prompt of PROMPTS) alone.push(tokensOf((await stream(server, greedy(prompt))).text));
    const both = await streams(server);
    process.kill(enginePids(server).at(-1) as number, 'SIGKILL');
    const texts = await Promise.all(both.map(({ whole }) => whole));
    for (const text of texts) {
      expect(text).toContain('[DONE]');
      expect(eventsOf(text).at(-1)).toMatchObject({
        finish_reason: 'length',
        usage: { completion_tokens: 48 },
      });
    }
    expect(texts.filter((text) => 'resumed' in (eventsOf(text).at(-1) ?? {}))).toHaveLength(2);
    // What is decoded beside a request decides between two tokens that are nearly equal.
    expect(texts.filter((text, at) => tokensOf(text) === alone[at]).length).toBeGreaterThanOrEqual(1);
    expect(enginePids(server)).toHaveLength(2);
  });

  test('lose what one had when it is killed; the engine is free of that, and the other goes on', async () => {
    const both = await streams(server, 200);
    const [victim] = workerPids(server) as [number];
    process.kill(victim, 'SIGKILL');
    const ends = await Promise.allSettled(both.map(({ whole }) => whole));
    const whole = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
    expect(whole).toHaveLength(1);
    expect(whole[0]).toContain('[DONE]');
    await expect.poll(() => workerPids(server).length, WITHIN).toBe(2);
    expect(workerPids(server)).not.toContain(victim);
    const answers = await Promise.all(PROMPTS.map((prompt) => generate(server, greedy(prompt, 8))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(enginePids(server)).toHaveLength(2);
  });
});

test('a control process that is killed takes its workers and its engine with it, and no socket is left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'killed-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = await start(onTestFinished, { TMPDIR: folder });
  await engineReady(server);
  const pids = [...workerPids(server), ...enginePids(server)];
  expect(pids).toHaveLength(3);
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^llm-serve-/)]);
  await server.stop('SIGKILL');
  await expect.poll(() => pids.filter(isAlive), WITHIN).toEqual([]);
  await expect.poll(() => readdirSync(folder), WITHIN).toEqual([]);
});

test('a server that ends leaves no process and no socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ended-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = await start(onTestFinished, { TMPDIR: folder });
  await engineReady(server);
  const pids = [...workerPids(server), ...enginePids(server)];
  expect(await server.stop()).toMatchObject({ exitCode: 0 });
  expect(pids.filter(isAlive)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a reload that has the engine loaded otherwise: what runs ends at the old one, the workers go to the new one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reloaded-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'llm-serve.yaml');
  const configure = (keys: string) =>
    writeFileSync(
      file,
      [
        `models: [{ id: smollm2, targets: [{ backend: llama-cpp, gpu: "off", threads: ${ENGINE_THREADS}, model: ${DEFAULT_MODEL}, ${keys} }] }]`,
        `cache: { directory: "${testCacheDirectory()}" }`,
        'rate_limit: { enabled: false }',
      ].join('\n'),
    );
  configure('context_size: 512, slots: 2');
  const server = await startExecutable({
    flags: ['--config', file, '--server.workers', '2'],
    endsWith: onTestFinished,
  });
  await engineReady(server);
  const both = await streams(server, 250);
  configure('context_size: 256, slots: 3');
  server.signal('SIGHUP');
  await expect.poll(() => enginePids(server).length, WITHIN).toBe(2);
  const [before, after] = enginePids(server) as [number, number];
  const tooLong = { prompt: 'The sea is wide. '.repeat(70), max_tokens: 4 };
  const answers = await Promise.all(Array.from({ length: 4 }, () => generate(server, tooLong)));
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400]);
  for (const text of await Promise.all(both.map(({ whole }) => whole))) {
    expect(text).toContain('[DONE]');
    expect('resumed' in (eventsOf(text).at(-1) ?? {})).toBe(false);
  }
  await expect.poll(() => isAlive(before), WITHIN).toBe(false);
  expect(isAlive(after)).toBe(true);
  const late = await Promise.all(PROMPTS.map((prompt) => generate(server, greedy(prompt, 8))));
  expect(late.map(({ status }) => status)).toEqual([200, 200]);
});
