/** The whole server over the real embedded engine and the default model. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MODELS } from '../../src/models/catalog.ts';
import { describedExamples } from '../support/described-examples.ts';
import {
  DEFAULT_MODEL,
  ENGINE_THREADS,
  isAlive,
  modelPath,
  testCacheDirectory,
} from '../support/embedded-engine.ts';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, eventsOf, generate, metric, openAnswer, stream, tokensOf } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
const QUESTION = { prompt: 'What is the capital of France?' };
const LONG = { prompt: 'Write a long story about the sea.', max_tokens: 400 };

const embedded = { backend: 'llama-cpp', gpu: 'off', threads: ENGINE_THREADS };

function flags(target: Readonly<Record<string, unknown>> = {}, others: readonly object[] = []): string[] {
  const smollm2 = { ...embedded, model: DEFAULT_MODEL, context_size: 512, ...target };
  return [
    ...['--models', JSON.stringify([{ id: 'smollm2', targets: [smollm2] }, ...others])],
    ...['--cache.directory', testCacheDirectory(), '--rate-limit.enabled', 'false'],
  ];
}

const slotsUsed = (server: RunningServer) => metric(server, 'llm_serve_slots_used');

async function enginePid(server: Executable): Promise<number> {
  const seen = server.logs().filter(({ msg }) => msg === 'engine ready');
  return Number((seen.at(-1) ?? (await server.logged(({ msg }) => msg === 'engine ready'))).pid);
}

describe('the default model', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    await modelPath();
    const { path } = await tinyModelFile();
    const embedder = { id: 'embedder', targets: [{ ...embedded, model: path, context_size: 64 }] };
    server = await startServer({ flags: flags({}, [embedder]), endsWith });
    await whenReady(server);
  });

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
    const { models } = (await ask(`${server.url}/api/tags`)).json<{ models: readonly { name: string }[] }>();
    expect(models.filter(({ name }) => name === 'smollm2:latest')).toMatchObject([
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

  test('clients that leave mid-stream free their slots', async () => {
    const streams = await Promise.all(
      Array.from({ length: 4 }, () => openAnswer(`${server.url}/stream`, { body: LONG })),
    );
    await Promise.all(streams.map((open) => open.until((text) => text.includes('token'))));
    expect(await slotsUsed(server)).toBe(4);
    for (const open of streams) open.leave();
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
  });

  test('answers every example of /openapi.json as it stands, beside a model that embeds', async () => {
    for (const { path, body } of await describedExamples(server)) {
      const { status } = await ask(`${server.url}${path}`, { body });
      expect([path, status]).toEqual([path, 200]);
    }
  });
});

test('the part of the KV cache that running requests hold is told, also by the name that vLLM has for it', async () => {
  await modelPath();
  // It gives a sign of life every 100 ms.
  const server = await startServer({
    flags: [...flags({ step_timeout_ms: 1000 }), '--metrics.vllm-names', 'true'],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  const used = () => metric(server, 'llm_serve_target_kv_cache_usage');
  let isSeen = false;
  const busy = [1, 2].map(async () => {
    while (!isSeen) await generate(server, { ...LONG, max_tokens: 100 });
  });
  onTestFinished(() => {
    isSeen = true;
  });
  await expect.poll(used, { timeout: 120_000 }).toBeGreaterThan(0);
  expect(await metric(server, 'vllm:kv_cache_usage_perc')).toBeLessThanOrEqual(0.5);
  const { text } = await ask(`${server.url}/metrics`);
  expect(text).toMatch(/^vllm:cache_config_info\{block_size="64",.*,num_gpu_blocks="32"\} 1$/m);
  isSeen = true;
  await Promise.all(busy);
  await expect.poll(used, { timeout: 120_000 }).toBe(0);
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
