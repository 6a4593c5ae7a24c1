/** The whole server over the real embedded engine and the default model. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MODELS } from '../../src/models/catalog.ts';
import { DEFAULT_MODEL, isAlive, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, eventsOf, generate, metric, openAnswer, stream, tokensOf } from '../support/http-client.ts';
import { atThisPace } from '../support/pace.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll } from '../support/server.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
const QUESTION = { prompt: 'What is the capital of France?' };
const LONG = { prompt: 'Write a long story about the sea.', max_tokens: 400 };

function flags(target: Readonly<Record<string, unknown>> = {}): string[] {
  const models = [
    {
      id: 'smollm2',
      targets: [{ backend: 'llama-cpp', model: DEFAULT_MODEL, context_size: 512, ...target }],
    },
  ];
  return [
    ...['--models', JSON.stringify(models), '--cache.directory', testCacheDirectory()],
    ...['--rate-limit.enabled', 'false'],
  ];
}

const slotsUsed = (server: Executable) => metric(server, 'llm_serve_slots_used');

async function enginePid(server: Executable): Promise<number> {
  const seen = server.logs().filter(({ msg }) => msg === 'engine ready');
  return Number((seen.at(-1) ?? (await server.logged(({ msg }) => msg === 'engine ready'))).pid);
}

describe('the default model', () => {
  const endsWith = endingAfterAll();
  let server: Executable;
  beforeAll(async () => {
    await modelPath();
    server = await startExecutable({ flags: flags(), endsWith });
    await whenReady(server);
  }, 180_000);

  test('knows the capital of France, ten times of ten', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const answer = await generate(server, { ...QUESTION, max_tokens: 32 });
        expect(answer.status, answer.text).toBe(200);
        return answer.json().text;
      }),
    );
    expect(answers.filter((text) => text.includes('Paris'))).toHaveLength(10);
  });

  test('is listed as Ollama would list its file, by the checksum of that', async () => {
    const { models } = (await ask(`${server.url}/api/tags`)).json<{ models: object[] }>();
    expect(models).toMatchObject([
      {
        name: 'smollm2:latest',
        size: 98_362_432,
        digest: MODELS.find(({ name }) => name === DEFAULT_MODEL)?.sha256,
        details: { format: 'gguf', family: 'llama', parameter_size: '134.52M', quantization_level: 'Q4_1' },
      },
    ]);
  });

  test('streams the very text that it answers whole, at temperature 0', async () => {
    const body = { prompt: 'Describe the sea in two sentences.', temperature: 0, max_tokens: 48 };
    const whole = await generate(server, body);
    const streamed = await stream(server, body);
    expect(tokensOf(streamed.text)).toBe(whole.json().text);
    expect(eventsOf(streamed.text).at(-1)?.finish_reason).toBe(whole.json().finish_reason);
    expect(streamed.text).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('answers sixteen at a time on its four slots', async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        (index % 2 ? generate : stream)(server, { ...QUESTION, max_tokens: 16 }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 200));
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
  });

  test('refuses a prompt that does not fit, with both numbers', async () => {
    const answer = await generate(server, { prompt: 'word '.repeat(600) });
    expect(answer.status).toBe(400);
    expect(answer.json().error).toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringMatching(/\d{3}.*512/),
    });
  });

  // Whatever else the machine does at that moment may spoil one try.
  test('a client that leaves mid-stream frees its slot within 100 ms', { retry: 2 }, async () => {
    const streams = await Promise.all(
      Array.from({ length: 4 }, () => openAnswer(`${server.url}/stream`, { body: LONG })),
    );
    await Promise.all(streams.map((open) => open.until((text) => text.includes('token'))));
    expect(await slotsUsed(server)).toBe(4);
    const limitMs = await atThisPace(server, 100);
    const leftAt = performance.now();
    for (const open of streams) open.leave();
    await expect.poll(() => slotsUsed(server), { timeout: 60_000, interval: 5 }).toBe(0);
    expect(performance.now() - leftAt).toBeLessThan(limitMs);
  });

  test('an engine that is killed fails what it had, the API stays up, and the next request works', async () => {
    const pid = await enginePid(server);
    const open = await openAnswer(`${server.url}/stream`, { body: LONG });
    await open.until((text) => text.includes('token'));
    const whole = generate(server, LONG);
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(2);
    process.kill(pid, 'SIGKILL');
    expect(eventsOf(await open.whole).at(-1)?.error?.code).toBe('backend_error');
    const failed = await whole;
    expect([failed.status, failed.json().error.code]).toEqual([502, 'backend_error']);
    expect((await ask(`${server.url}/health`)).status).toBe(200);
    const unready = await ask(`${server.url}/ready`);
    expect(unready.status).toBe(503);
    expect(['backend_failed', 'model_loading']).toContain(unready.json<{ reason: string }>().reason);
    const next = await generate(server, { ...QUESTION, max_tokens: 16 });
    expect(next.status, next.text).toBe(200);
    await whenReady(server);
    expect(await enginePid(server)).not.toBe(pid);
  });

  test('an engine that is stopped leaves /health quick', async () => {
    const pid = await enginePid(server);
    process.kill(pid, 'SIGSTOP');
    try {
      const limitMs = await atThisPace(server, 500);
      const startedAt = performance.now();
      expect((await ask(`${server.url}/health`)).status).toBe(200);
      expect(performance.now() - startedAt).toBeLessThan(limitMs);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

test('SIGTERM in the middle of work finishes it and leaves no engine behind', async () => {
  // Longer than the answer takes where others compute on the same cores.
  const grace = ['--server.shutdown-grace-seconds', '120'];
  const server = await startExecutable({
    flags: [...flags({ slots: 1 }), ...grace],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  const pid = await enginePid(server);
  const open = await openAnswer(`${server.url}/stream`, { body: { ...LONG, max_tokens: 40 } });
  await open.until((text) => text.includes('token'));
  const { exitCode } = await server.stop();
  expect(await open.whole).toContain('[DONE]');
  expect(exitCode).toBe(0);
  expect(isAlive(pid)).toBe(false);
});

test('SIGTERM while the model loads ends at once', async () => {
  const server = await startExecutable({ flags: flags(), endsWith: onTestFinished });
  expect((await server.stop()).exitCode).toBe(0);
  expect(processesOf(server.pid)).toEqual([]);
});

test('a server that is killed takes its engine along', async () => {
  const server = await startExecutable({ flags: flags({ slots: 1 }), endsWith: onTestFinished });
  await whenReady(server);
  const pid = await enginePid(server);
  await server.stop('SIGKILL');
  await expect.poll(() => isAlive(pid), { timeout: 60_000, interval: 50 }).toBe(false);
});

describe('a model that cannot be had is exit 1 with one clear line', () => {
  test('a path where nothing is', async () => {
    const { exitCode, stderr } = await runExecutable(
      ['--port', '0', '--backend', 'llama-cpp', '--model', './missing.gguf'],
      { endsWith: onTestFinished },
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain('missing.gguf');
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test.each([
    ['no GGUF at all', () => Buffer.from('this is no model')],
    ['a file that was cut off', (whole: Buffer) => whole.subarray(0, 1_000_000)],
  ])('%s', async (_name, damage) => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-corrupt-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'corrupt.gguf');
    writeFileSync(path, damage(readFileSync(await modelPath())));
    const { exitCode, stderr } = await runExecutable(
      ['--port', '0', '--backend', 'llama-cpp', '--model', path],
      { endsWith: onTestFinished },
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain('corrupt.gguf');
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

function processesOf(parent: number): string[] {
  const list = execFileSync('ps', ['-e', '-o', 'ppid=,pid=,args='], { encoding: 'utf8' }).split('\n');
  return list.filter((line) => line.trim().startsWith(`${parent} `));
}
