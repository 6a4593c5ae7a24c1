/** Schemas made to cost, asked of the whole server over the real engine: it stays there for others. */
import { beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_MODEL, ENGINE_THREADS, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { generate } from '../support/http-client.ts';
import { eventLoopMs, processorMs } from '../support/process-cost.ts';
import { childrenOf } from '../support/process-table.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll, TEST_WORKERS } from '../support/server.ts';

const names = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index));

/** 2 KB whose choices would be written out a million times. */
const multiplying = (letter: string) => ({
  allOf: names(20, String).map((at) => ({
    anyOf: [{ required: [`${letter}a${at}`] }, { required: [`${letter}b${at}`] }],
  })),
});
/** As large as a schema may be; hundreds of milliseconds. */
const large = (letter: string) => ({
  type: 'object',
  properties: Object.fromEntries(
    names(400, String).map((at) => [`${letter}_property_${at}`, { type: 'string' }]),
  ),
  required: names(400, (at) => `${letter}_property_${at}`),
});
const tools = (letter: string) =>
  names(6, (at) => `${letter}_tool_${at}`).map((name, at) => ({
    name,
    parameters: {
      type: 'object',
      properties: Object.fromEntries(
        names(4, String).map((of) => [`argument_${at}_${of}`, { type: 'string' }]),
      ),
    },
  }));

describe('beside schemas that take long to compile', () => {
  const endsWith = endingAfterAll();
  let server: Executable;
  beforeAll(async () => {
    await modelPath();
    const target = {
      backend: 'llama-cpp',
      model: DEFAULT_MODEL,
      context_size: 2048,
      gpu: 'off',
      threads: ENGINE_THREADS,
    };
    server = await startExecutable({
      flags: [
        ...['--models', JSON.stringify([{ id: 'demo', targets: [target] }])],
        ...['--cache.directory', testCacheDirectory(), '--rate-limit.enabled', 'false'],
      ],
      endsWith,
    });
    await whenReady(server);
  });

  const prompt = { prompt: 'hi', max_tokens: 1 };
  const asking = (letter: string) =>
    Promise.all([
      ...names(3, (at) => `${letter}${at}`).map((each) =>
        generate(server, { ...prompt, format: multiplying(each) }),
      ),
      generate(server, { ...prompt, format: large(letter) }),
    ]);

  /** Of the processes that read requests: the server's own, or its workers. */
  const usedMs = (): readonly [loop: number | undefined, all: number] => {
    const workers = childrenOf(server.pid).filter(({ command }) => command.includes('worker.js'));
    const pids = TEST_WORKERS === 1 ? [server.pid] : workers.map(({ pid }) => pid);
    const sumOf = (msOf: typeof processorMs) => pids.reduce((sum, pid) => sum + Number(msOf(pid)), 0);
    return [eventLoopMs(server.pid) && sumOf(eventLoopMs), sumOf(processorMs)];
  };

  test('the event loop is free: the server computes elsewhere', async () => {
    const before = usedMs();
    const answers = await asking('x');
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 200]);
    expect(answers[0]?.text).toContain('format multiplies');
    const after = usedMs();
    if (before[0] === undefined || after[0] === undefined) return;
    const loop = after[0] - before[0];
    const all = after[1] - before[1];
    expect(all, 'they do cost').toBeGreaterThan(300);
    expect(loop).toBeLessThan(all / 2);
  });

  test('calls of tools are compiled beside another answer', async () => {
    const forced = { ...prompt, tools: tools('t'), tool_choice: 'required' };
    const [call, text] = await Promise.all([
      generate(server, { ...forced, max_tokens: 40 }),
      generate(server, { ...prompt, max_tokens: 20 }),
    ]);
    expect([call.status, text.status], call.text).toEqual([200, 200]);
  });
});
