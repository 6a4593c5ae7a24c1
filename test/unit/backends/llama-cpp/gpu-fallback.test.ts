import { afterEach, describe, expect, it } from 'vitest';
import { GpuFallback } from '../../../../src/backends/llama-cpp/gpu-fallback.ts';
import type { GpuSetting } from '../../../../src/backends/llama-cpp/messages.ts';
import { Supervisor } from '../../../../src/backends/llama-cpp/supervisor.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { never } from '../../../support/embedded-engine.ts';
import {
  FAKE_GENERATION,
  FAKE_SETTINGS,
  FINISH,
  fakeEngines,
  LOADED,
  recordingLog,
} from '../../../support/fake-engine.ts';

describe('gpu fallback', () => {
  function launchedOn(fallback: GpuFallback, device: 'cuda' | 'vulkan' | 'cpu'): void {
    fallback.launched();
    fallback.deviceOpened(device);
  }

  it('leaves a GPU at the first end before a first token', () => {
    const fallback = new GpuFallback();
    launchedOn(fallback, 'cuda');
    expect(fallback.endedEarly()).toBe('cuda');
    launchedOn(fallback, 'vulkan');
    expect(fallback.endedEarly()).toBe('vulkan');
    launchedOn(fallback, 'cpu');
    expect(fallback.endedEarly()).toBeUndefined();
    expect(fallback.excluded).toEqual(['cuda', 'vulkan']);
  });

  it('blames no GPU for an engine that ended before it opened one', () => {
    const fallback = new GpuFallback();
    launchedOn(fallback, 'cuda');
    fallback.ready();
    fallback.launched();
    expect(fallback.endedEarly()).toBeUndefined();
    expect(fallback.excluded).toEqual([]);
  });

  it('leaves one that worked before only after three such ends in a row', () => {
    const fallback = new GpuFallback();
    const end = () => {
      launchedOn(fallback, 'cuda');
      return fallback.endedEarly();
    };
    launchedOn(fallback, 'cuda');
    fallback.ready();
    expect([end(), end()]).toEqual([undefined, undefined]);
    launchedOn(fallback, 'cuda');
    fallback.ready();
    expect([end(), end(), end()]).toEqual([undefined, undefined, 'cuda']);
  });
});

describe('the supervisor, where a GPU fails', () => {
  /** Engines that end on a GPU before their first token: `gpu: auto` goes on with the next device, a number does not. */

  const TOOLCHAIN = 'CUDA error: the provided PTX was compiled with an unsupported toolchain.';
  /** Opens the first device of the machine that is not excluded. */
  const OPEN = `
  const device = ['cuda', 'vulkan'].find((kind) => !message.excludedGpus.includes(kind)) ?? 'cpu';
  process.send({ type: 'device', device });`;
  /** What a build that is newer than the driver does, on `kind`. */
  const abortOn = (kind: string) => `
  if (device === '${kind}') { process.stderr.write('${TOOLCHAIN}\\n/ggml-cuda.cu:88: CUDA error\\n'); process.abort(); }`;
  /** With this prompt, the engine dies while it serves. */
  const SERVE = `if (message.type === 'generate') { if (message.generation.input.prompt === 'die') process.abort(); ${FINISH} }`;

  const fakeEngine = fakeEngines();
  let supervisor: Supervisor | undefined;

  afterEach(() => supervisor?.close());

  /** Waits of the supervisor are a thousand times shorter. */
  function supervise(onLoad: string) {
    const { log, lines } = recordingLog();
    const clock: Clock = {
      ...systemClock,
      schedule: (delayMs, run) => systemClock.schedule(delayMs / 1000, run),
    };
    const engine = new Supervisor({
      clock,
      log,
      enginePath: fakeEngine(`if (message.type === 'load') { ${OPEN} ${onLoad} } ${SERVE}`),
      environment: process.env,
      stepTimeoutMs: 36_000_000,
      loadTimeoutMs: 36_000_000,
    });
    supervisor = engine;
    const named = (message: string) =>
      lines.filter((line) => line.message === message).map(({ fields }) => fields);
    return {
      engine,
      start: (gpu: GpuSetting) => engine.start({ ...FAKE_SETTINGS, gpu }, never()),
      left: () => named('GPU failed before the first token, trying the next device'),
      died: () => named('engine died'),
      opened: () => named('engine').map(({ line }) => line),
    };
  }

  function outcome(of: Supervisor, prompt = 'a'): Promise<string> {
    return new Promise((resolve) => {
      of.access.generate(
        { ...FAKE_GENERATION, input: { kind: 'text', prompt } },
        {
          event: ({ type }) => type === 'finish' && resolve('finish'),
          failed: ({ message }) => resolve(message),
          freed: () => resolve('freed'),
        },
      );
    });
  }

  const TELL = `process.send({ type: 'log', level: 'info', message: device });`;

  describe('gpu: auto', () => {
    it('goes on with the next device, with a warning that names the reason and what to do', async () => {
      const { engine, start, left, died, opened } = supervise(`${TELL} ${abortOn('cuda')} ${LOADED}`);
      await start('auto');
      expect(await outcome(engine)).toBe('finish');
      expect(opened()).toEqual(['cuda', 'vulkan']);
      expect(left()).toEqual([
        {
          gpu: 'CUDA',
          reason: `it was ended by SIGABRT; it last wrote “${TOOLCHAIN}”`,
          advice: expect.stringContaining('NVIDIA driver of version 590 or newer'),
        },
      ]);
      expect(died()).toEqual([]);
    });

    it('ends at the CPU, and requests that came meanwhile are answered', async () => {
      const { engine, start, left, opened } = supervise(
        `${TELL} ${abortOn('cuda')} ${abortOn('vulkan')} ${LOADED}`,
      );
      const started = start('auto');
      const answered = outcome(engine);
      await started;
      expect(await answered).toBe('finish');
      expect(opened()).toEqual(['cuda', 'vulkan', 'cpu']);
      expect(left().map(({ gpu }) => gpu)).toEqual(['CUDA', 'Vulkan']);
    });

    it('remembers for restarts which GPU failed', async () => {
      const { engine, start, left, opened } = supervise(`${TELL} ${abortOn('cuda')} ${LOADED}`);
      await start('auto');
      expect(await outcome(engine, 'die')).toContain('stopped while it worked on this request');
      expect(await outcome(engine)).toBe('finish');
      expect(opened()).toEqual(['cuda', 'vulkan', 'vulkan']);
      expect(left()).toHaveLength(1);
    });

    it('keeps a GPU on which the engine died after its first token', async () => {
      const { engine, start, left, opened, died } = supervise(`${TELL} ${LOADED}`);
      await start('auto');
      expect(await outcome(engine, 'die')).toContain('stopped while it worked on this request');
      expect(await outcome(engine)).toBe('finish');
      expect(opened()).toEqual(['cuda', 'cuda']);
      expect([left(), died().length]).toEqual([[], 1]);
    });

    it('goes on to the next device when the engine itself reports that its GPU failed', async () => {
      const failed = `process.send({ type: 'load_failed', message: 'CUDA (X) failed: no context', gpuFailed: true });`;
      const { start, left } = supervise(`if (device === 'cuda') { ${failed} return; } ${LOADED}`);
      await start('auto');
      expect(left()).toMatchObject([{ gpu: 'CUDA', reason: 'CUDA (X) failed: no context' }]);
    });

    it('tries no other device for a file that cannot be loaded', async () => {
      const { engine, start, left } = supervise(
        `process.send({ type: 'load_failed', message: 'No such file.', gpuFailed: false });`,
      );
      await expect(start('auto')).rejects.toThrow('No such file.');
      expect(engine.state.phase).toBe('failed');
      expect(left()).toEqual([]);
    });

    it('gives up in the end what dies on the CPU as well', async () => {
      const { engine, start, left, died } = supervise('process.abort();');
      await expect(start('auto')).rejects.toThrow(
        /died 3 times while it loaded a\.gguf \(it was ended by SIGABRT/,
      );
      expect(engine.state.phase).toBe('failed');
      expect(left().map(({ gpu }) => gpu)).toEqual(['CUDA', 'Vulkan']);
      expect(died()).toHaveLength(2);
    });
  });

  describe('a number of layers', () => {
    it('is not computed elsewhere: after three deaths the error names the device, the driver and the setting', async () => {
      const { engine, start, left, opened } = supervise(`${TELL} ${abortOn('cuda')} ${LOADED}`);
      const refusal = await start(20).catch((error: Error) => error.message);
      expect(refusal).toMatch(
        /died 3 times while it loaded a\.gguf on CUDA \(it was ended by SIGABRT; it last wrote/,
      );
      expect(refusal).toContain(TOOLCHAIN);
      expect(refusal).toContain('needs an NVIDIA driver of version 590 or newer');
      expect(refusal).toContain('gpu is 20, so no other device was tried: set gpu: auto');
      expect(engine.state.phase).toBe('failed');
      await expect.poll(() => opened()).toEqual(['cuda', 'cuda', 'cuda']);
      expect(left()).toEqual([]);
    });
  });
});
