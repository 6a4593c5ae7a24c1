import { type ChildProcess, fork } from 'node:child_process';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  type EngineEnd,
  EngineProcess,
  ErrorOutput,
  forEachLine,
  MAX_LINE_CHARACTERS,
} from '../../../../src/backends/llama-cpp/engine-process.ts';
import type { FromEngine } from '../../../../src/backends/llama-cpp/messages.ts';
import type { LogFields } from '../../../../src/core/log.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { FAKE_SETTINGS, fakeEngines, recordingLog } from '../../../support/fake-engine.ts';
import { processState } from '../../../support/process-table.ts';

describe('the end of the engine process', () => {
  /** How an engine's process ends, what is heard of that, and that nothing of it stays behind. */

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

    it('is reported with the line that explains it, which is in the log as an error', async () => {
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

    it('is reported with an uncaught exception', async () => {
      const { engine, ended, ends } = start(`throw new RangeError('too much');`);
      engine.send({ type: 'ping' });
      await ended();
      expect(ends[0]).toEqual({ how: 'it exited with code 1', lastWords: 'RangeError: too much' });
    });

    it('is reported even if a process that it started holds its output open', async () => {
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
    it('is gone at once, even if it is stopped, and messages on their way are dropped', async () => {
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
});

describe('what the engine process prints', () => {
  /** What an engine writes before it dies: its level in our log, and the line that is put into the entry on its death. */

  function output(...lines: readonly string[]) {
    const logged: [level: 'warn' | 'error', line: unknown][] = [];
    const errors = new ErrorOutput({
      warn: (_: string, fields?: LogFields) => logged.push(['warn', fields?.line]),
      error: (_: string, fields?: LogFields) => logged.push(['error', fields?.line]),
    });
    for (const line of lines) errors.write(line);
    return { logged, lastWords: errors.lastWords };
  }

  describe('levels', () => {
    it.each([
      '/llama.cpp/ggml/src/ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed',
      '/llama.cpp/src/llama-graph.cpp:77: fatal error',
      "terminate called after throwing an instance of 'std::runtime_error'",
      '  what():  vk::Device::allocateMemory: ErrorOutOfDeviceMemory',
      'node: ../src/llama.cpp:123: void f(): Assertion `n > 0 failed.',
      'free(): invalid pointer',
      'double free or corruption (!prev)',
      '*** stack smashing detected ***: terminated',
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
      'CUDA error: an illegal memory access was encountered',
      'TypeError: Cannot read properties of undefined',
      'Segmentation fault (core dumped)',
    ])('error: %s', (line) => {
      expect(output(line).logged).toEqual([['error', line]]);
    });

    it.each([
      'ggml_vulkan: 0 = llvmpipe (LLVM 15.0.6)',
      'load_backend: loaded CPU backend',
      'warning: asserts enabled',
      '(node:12) ExperimentalWarning: this may change',
      'hello',
    ])('warn: %s', (line) => {
      expect(output(line).logged).toEqual([['warn', line]]);
    });
  });

  describe('last words', () => {
    it('are none where nothing was written', () => {
      expect(output().lastWords).toBeUndefined();
    });

    it('are the assertion, not the stack below it', () => {
      const { lastWords } = output(
        'load_backend: loaded CPU backend',
        'ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed',
        '/bins/libggml-base.so(+0x1a0db)[0x7f0dab41a0db]',
        '#1  0x00007f in ggml_abort ()',
        '[0x7f0dab41a0db]',
      );
      expect(lastWords).toBe('ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed');
    });

    it('are the last with which something gave up', () => {
      const { lastWords } = output(
        "terminate called after throwing an instance of 'std::runtime_error'",
        '  what():  no such tensor',
        'bye',
      );
      expect(lastWords).toBe('what():  no such tensor');
    });

    it('are the error of an uncaught exception of JavaScript', () => {
      const { lastWords } = output(
        'file:///app/dist/main.js:10',
        '  throw new RangeError(message);',
        '        ^',
        'RangeError: too much',
        '    at load (file:///app/dist/main.js:10:9)',
        'Node.js v20.19.0',
      );
      expect(lastWords).toBe('RangeError: too much');
    });

    it('are the error of the GPU, not the place in the source where ggml ends the process for it', () => {
      const reason = 'CUDA error: the provided PTX was compiled with an unsupported toolchain.';
      const trailer = '/llama.cpp/ggml/src/ggml-cuda/ggml-cuda.cu:88: CUDA error';
      expect(output(reason, '  current device: 0, in function f at x.cu:3', trailer).lastWords).toBe(reason);
      expect(output('ggml_cuda_init: found 1 device', trailer).lastWords).toBe(trailer);
    });

    it('are the last line that says anything where nothing gave up', () => {
      expect(output('one', 'two', '    at somewhere (file:1:1)', 'Node.js v20.19.0').lastWords).toBe('two');
    });

    it('are of the last twenty lines only', () => {
      const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
      expect(output('GGML_ASSERT(x) failed', ...lines).lastWords).toBe('line 19');
    });
  });

  describe('lines', () => {
    async function linesOf(...chunks: readonly (string | Buffer)[]): Promise<string[]> {
      const lines: string[] = [];
      const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
      forEachLine(stream, (line) => lines.push(line));
      await new Promise((resolve) => stream.on('end', resolve));
      return lines;
    }

    it('are found wherever the chunks break, the last without its end, empty ones left out', async () => {
      expect(await linesOf('a', 'b\r\nc\n', '\n \nd')).toEqual(['ab', 'c', 'd']);
    });

    it('keep characters that are split between chunks', async () => {
      const bytes = Buffer.from('größe\n');
      expect(await linesOf(bytes.subarray(0, 3), bytes.subarray(3))).toEqual(['größe']);
    });

    it('are cut where they are too long, and the next one is whole', async () => {
      const long = 'x'.repeat(MAX_LINE_CHARACTERS);
      expect(await linesOf(long.repeat(50), long, '\nnext\n', long, '\n')).toEqual([
        `${long}…`,
        'next',
        long,
      ]);
    });
  });
});
