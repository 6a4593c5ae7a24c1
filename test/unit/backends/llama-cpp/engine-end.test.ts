/** How an engine's process ends, what is heard of that, and that nothing of it stays behind. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type EngineEnd, EngineProcess } from '../../../../src/backends/llama-cpp/engine-process.ts';
import type { FromEngine } from '../../../../src/backends/llama-cpp/messages.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { FAKE_SETTINGS, fakeEngines, recordingLog } from '../../../support/fake-engine.ts';
import { processState } from '../../../support/process-table.ts';

const fakeEngine = fakeEngines();
const SOON = { timeout: 60_000, interval: 10 };

function start(onMessage: string) {
  const { log, lines } = recordingLog();
  const messages: FromEngine[] = [];
  const ends: EngineEnd[] = [];
  const engine = new EngineProcess({
    enginePath: fakeEngine(onMessage),
    environment: process.env,
    clock: systemClock,
    log,
    onMessage: (message) => messages.push(message),
    onExit: (end) => ends.push(end),
  });
  onTestFinished(() => engine.end());
  const heard = (type: FromEngine['type']) =>
    vi.waitFor(() => expect(messages.map((message) => message.type)).toContain(type), SOON);
  return {
    engine,
    lines,
    messages,
    heard,
    ends,
    ended: () => vi.waitFor(() => expect(ends).toHaveLength(1), SOON),
  };
}

describe('an engine that ends by itself', () => {
  it.each([
    ['process.exit(0)', 'it exited with code 0'],
    ['process.exit(7)', 'it exited with code 7'],
    [`process.kill(process.pid, 'SIGSEGV')`, 'it was ended by SIGSEGV'],
    [
      `process.kill(process.pid, 'SIGKILL')`,
      'it was ended by SIGKILL, as the system does when memory runs out',
    ],
    ['process.abort()', 'it was ended by SIGABRT'],
  ])('by %s is told so once, and leaves no zombie', async (statement, how) => {
    const { engine, ended, ends } = start(`if (message.type === 'load') ${statement};`);
    const { pid } = engine;
    engine.send({ type: 'load', settings: FAKE_SETTINGS, excludedGpus: [] });
    await ended();
    expect(ends[0]?.how).toBe(how);
    expect(processState(pid)).toBe('');
    await engine.end();
    expect(ends).toHaveLength(1);
  });

  it('is told with the line that says why, which is in the log as an error', async () => {
    const { engine, lines, ended, ends } = start(
      `process.stderr.write('loaded backends\\nggml.c:1: GGML_ASSERT(x) failed\\n/libggml.so(+0x1)[0x2]\\n');
       process.stdout.write('to standard output\\n');
       process.abort();`,
    );
    engine.send({ type: 'load', settings: FAKE_SETTINGS, excludedGpus: [] });
    await ended();
    expect(ends[0]).toEqual({
      how: 'it was ended by SIGABRT',
      lastWords: 'ggml.c:1: GGML_ASSERT(x) failed',
    });
    expect(lines.map(({ level, fields }) => [level, fields.line])).toEqual(
      expect.arrayContaining([
        ['warn', 'loaded backends'],
        ['error', 'ggml.c:1: GGML_ASSERT(x) failed'],
        ['debug', 'to standard output'],
      ]),
    );
  });

  it('is told with an uncaught exception', async () => {
    const { engine, ended, ends } = start(`throw new RangeError('too much');`);
    engine.send({ type: 'ping' });
    await ended();
    expect(ends[0]).toEqual({ how: 'it exited with code 1', lastWords: 'RangeError: too much' });
  });

  it('is told even where a process that it started holds its output open', async () => {
    const { engine, ended } = start(
      `import('node:child_process').then(({ spawn }) => {
         spawn('sleep', ['5'], { stdio: 'inherit', detached: true }).unref();
         process.exit(3);
       });`,
    );
    engine.send({ type: 'ping' });
    await ended();
  });
});

describe('an engine that is killed', () => {
  it('is gone at once, also when it is stopped, and what it had sent is not heard', async () => {
    const { engine, heard, messages, ended, ends } = start(
      `process.send({ type: 'alive', progress: 1 }); process.kill(process.pid, 'SIGSTOP');`,
    );
    await heard('hello');
    const { pid } = engine;
    engine.send({ type: 'ping' });
    await vi.waitFor(() => expect(processState(pid)).toBe('T'), SOON);
    engine.kill('it did not answer');
    await ended();
    expect(ends[0]?.how).toBe('it did not answer');
    expect(processState(pid)).toBe('');
    expect(messages.filter(({ type }) => type === 'alive').length).toBeLessThanOrEqual(1);
  });
});

describe('an engine whose parent is killed', () => {
  async function orphaned(onMessage: string): Promise<number> {
    const parentPath = fileURLToPath(new URL('../../../support/engine-parent.mjs', import.meta.url));
    const parent: ChildProcess = fork(parentPath, [fakeEngine(onMessage), 'a.gguf', 'pipe'], {
      execArgv: [],
    });
    const pid = await new Promise<number>((resolve) =>
      parent.once('message', (told) => resolve(Number(told))),
    );
    expect(processState(pid)).not.toBe('');
    parent.kill('SIGKILL');
    return pid;
  }
  const gone = (pid: number) => vi.waitFor(() => expect(processState(pid)).toMatch(/^Z?$/), SOON);

  it('ends while it waits for orders', async () => {
    await gone(
      await orphaned(`if (message.type === 'load') process.send({ type: 'loaded', contextSize: 1 });`),
    );
  });

  it('ends while its event loop is stuck', async () => {
    const stuck = `process.send({ type: 'loaded', contextSize: 1 }, () => { for (;;); });`;
    await gone(await orphaned(`if (message.type === 'load') ${stuck}`));
  });

  it('ends while its event loop sleeps inside a native call', async () => {
    const asleep = `process.send({ type: 'loaded', contextSize: 1 }, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));`;
    await gone(await orphaned(`if (message.type === 'load') ${asleep}`));
  });

  it('when it is stopped, ends as soon as it goes on: nothing can be done before', async () => {
    const stopped = `process.send({ type: 'loaded', contextSize: 1 }, () => process.kill(process.pid, 'SIGSTOP'));`;
    const pid = await orphaned(`if (message.type === 'load') ${stopped}`);
    if (processState(pid) === 'T') process.kill(pid, 'SIGCONT');
    await gone(pid);
  });
});
