/** The engine's process may be killed, stopped or left by its parent: the API and its other models do not care. */
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { DEFAULT_MODEL, ENGINE_THREADS, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { ask, eventsOf, generate, openAnswer, tokensOf } from '../support/http-client.ts';
import { childrenOf, processState } from '../support/process-table.ts';
import { whenReady } from '../support/readiness.ts';
import { scripted } from '../support/scripted-server.ts';
import { endingAfterAll } from '../support/server.ts';

const GONE_WITHIN = { timeout: 60_000, interval: 20 };
/** Longer than any step of this model on a busy machine. */
const SMALL = { step_timeout_ms: 5000 };
const LONG = { prompt: 'Write a long story about the sea.', max_tokens: 400 };
const QUESTION = { prompt: 'What is the capital of France?', max_tokens: 16 };

function flags(target: Readonly<Record<string, unknown>> = {}): string[] {
  const embedded = {
    ...{ backend: 'llama-cpp', model: DEFAULT_MODEL, context_size: 512, slots: 2 },
    ...{ gpu: 'off', threads: ENGINE_THREADS, ...target },
  };
  const models = [
    { id: 'smollm2', targets: [embedded] },
    { id: 'other', targets: [{ backend: 'scripted', model: 'other' }] },
  ];
  return [
    ...['--models', JSON.stringify(models), '--cache.directory', testCacheDirectory()],
    // Requests of an engine that dies end with their error, instead of going on at the next one.
    ...['--rate-limit.enabled', 'false', '--retry.attempts', '1'],
  ];
}

/** /ready may be answered before the line has come through the pipe. `not`: the engine before it. */
const engineLogged = (server: Executable, { not }: { readonly not?: number } = {}) =>
  server.logged(({ msg, pid }) => msg === 'engine ready' && pid !== not);

function enginePids(server: Executable): number[] {
  return server
    .logs()
    .filter(({ msg }) => msg === 'engine ready')
    .map(({ pid }) => Number(pid));
}

beforeAll(() => modelPath());

describe('while the engine of one model is out of order', () => {
  const endsWith = endingAfterAll();
  let server: Executable;
  beforeAll(async () => {
    server = await startExecutable({ flags: flags(SMALL), endsWith });
    await whenReady(server);
    await engineLogged(server);
  });

  test.each([
    ['SIGKILL', 'engine died', /ended by SIGKILL/, 150],
    ['SIGSTOP', 'engine hangs', /did not answer for 5 s/, 350],
  ] as const)(
    'by %s the other model is served, and the engine is replaced',
    async (signal, message, how, words) => {
      const pid = enginePids(server).at(-1) as number;
      const text = Array.from({ length: words }, (_, index) => `w${index}`).join(' ');
      const steady = await openAnswer(`${server.url}/stream`, {
        body: { model: 'other', max_tokens: 1000, prompt: scripted({ text, token_delay_ms: 20 }) },
      });
      const stream = await openAnswer(`${server.url}/stream`, { body: LONG });
      await stream.until((told) => told.includes('token'));
      const whole = generate(server, LONG);
      // Seen between the death of one engine and the start of the next, however long the rest of this test takes.
      const unready = vi.waitFor(async () => {
        const answer = await ask(`${server.url}/ready`);
        expect(answer.status).toBe(503);
        return answer.json<{ reason: string }>().reason;
      }, GONE_WITHIN);
      process.kill(pid, signal);
      // 1. The other model answers, again and again, until the engine's requests have failed.
      let failed = false;
      const failure = whole.finally(() => {
        failed = true;
      });
      do {
        const answer = await generate(server, { model: 'other', prompt: scripted({ text: 'here' }) });
        expect(answer.json().text).toBe('here');
      } while (!failed);
      // 2. They failed as what they are.
      expect([(await failure).status, (await failure).json().error.code]).toEqual([502, 'backend_error']);
      const events = eventsOf(await stream.whole);
      expect(events.at(-1)?.error?.code).toBe('backend_error');
      // 3. /ready says so, until there is a new engine; a request that comes waits for it.
      expect(['backend_failed', 'model_loading']).toContain(await unready);
      const next = await generate(server, QUESTION);
      expect(next.status, next.text).toBe(200);
      await whenReady(server);
      await engineLogged(server, { not: pid });
      expect(enginePids(server).at(-1)).not.toBe(pid);
      expect(processState(pid)).toBe('');
      expect(childrenOf(server.pid).filter(({ command }) => !command.includes('worker'))).toHaveLength(1);
      const line = server.logs().findLast(({ msg }) => msg === message);
      expect(line).toMatchObject({ level: 50, how: expect.stringMatching(how) });
      // 4. The stream of the other model went on through all of it.
      const told = await steady.whole;
      expect(tokensOf(told)).toBe(text);
      expect(told).toContain('[DONE]');
    },
  );

  test('the log says on what it computes, and why', () => {
    const line = server
      .logs()
      .find(({ msg, line }) => msg === 'engine' && String(line).startsWith('computes on'));
    expect(line).toMatchObject({ level: 30, line: expect.stringMatching(/ threads? \(.+\)$/) });
  });
});

describe('a server that is killed leaves no engine', () => {
  async function running(...until: readonly ('ready' | 'streaming')[]) {
    const server = await startExecutable({ flags: flags(), endsWith: onTestFinished });
    if (until.length > 0) await whenReady(server);
    if (until.includes('streaming')) {
      const stream = await openAnswer(`${server.url}/stream`, { body: LONG });
      stream.whole.catch(() => {});
      await stream.until((told) => told.includes('token'));
    }
    return server;
  }

  async function family(server: Executable): Promise<number[]> {
    await expect.poll(() => childrenOf(server.pid).length, GONE_WITHIN).toBeGreaterThan(0);
    const engines = childrenOf(server.pid).map(({ pid }) => pid);
    return [...engines, ...engines.flatMap((pid) => childrenOf(pid).map((child) => child.pid))];
  }

  const gone = (pids: readonly number[]) =>
    expect.poll(() => pids.filter((pid) => !['', 'Z'].includes(processState(pid))), GONE_WITHIN).toEqual([]);

  test.each([
    ['in a decode step', ['ready', 'streaming']],
    ['while the model loads', []],
  ] as const)('%s', async (_, until) => {
    const server = await running(...until);
    const pids = await family(server);
    expect(pids.length).toBeGreaterThan(0);
    await server.stop('SIGKILL');
    await gone(pids);
  });

  test('that is stopped, once it goes on', async () => {
    const server = await running('ready');
    const pids = await family(server);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await server.stop('SIGKILL');
    for (const pid of pids) if (processState(pid) === 'T') process.kill(pid, 'SIGCONT');
    await gone(pids);
  });
});

test('SIGTERM ends a server whose engine is stopped, with 0 and no process left', async () => {
  const server = await startExecutable({ flags: flags(), endsWith: onTestFinished });
  await whenReady(server);
  await engineLogged(server);
  const [pid] = enginePids(server);
  process.kill(Number(pid), 'SIGSTOP');
  expect((await server.stop()).exitCode).toBe(0);
  expect(processState(pid)).toBe('');
});
