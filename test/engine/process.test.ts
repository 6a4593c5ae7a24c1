/** The life of the engine's process: killed, ordered to end, signalled, left alone by its parent, given broken files. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { defaultEnginePath } from '../../src/backends/llama-cpp/engine-process.ts';
import { ServingError } from '../../src/core/errors.ts';
import {
  embeddedEngine,
  isAlive,
  modelPath,
  never,
  read,
  requestFor,
  type TestEngine,
} from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engine-process-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function pidOf(engine: TestEngine): number {
  return engine.pids.at(-1) as number;
}

function ended(pid: number): Promise<void> {
  return vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 60_000, interval: 10 });
}

describe('engine process', () => {
  it('fails requests in flight when it is killed, says so, and answers again after its restart', async () => {
    const engine = embeddedEngine({ slots: 2 });
    const { backend } = engine;
    await backend.warmUp({ signal: never() });
    const killed = pidOf(engine);
    const events = pulled(backend, requestFor('Tell me a very long story.'), { signal: never() });
    await events.next();
    await events.next();
    process.kill(killed, 'SIGKILL');
    const rest = (async () => {
      while (!(await events.next()).done);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'backend_error' });
    await events.return?.();
    expect(await backend.probe()).toMatchObject({ state: 'failed', loaded: false, restarting: true });
    // A request that comes during the restart waits for it.
    const { text } = await read(
      pulled(backend, requestFor('What is the capital of France?'), { signal: never() }),
    );
    expect(text).toBe('The capital of France is Paris.');
    expect(await backend.probe()).toMatchObject({ state: 'ready' });
    expect(pidOf(engine)).not.toBe(killed);
  });

  it('ignores SIGINT and SIGTERM, and is gone when the backend has been closed', async () => {
    const engine = embeddedEngine({ slots: 1 });
    const { backend } = engine;
    await backend.warmUp({ signal: never() });
    const pid = pidOf(engine);
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    const { text } = await read(
      pulled(backend, requestFor('What is the capital of France?'), { signal: never() }),
    );
    expect(text).toContain('Paris');
    const events = pulled(backend, requestFor('Tell me a story.'), { signal: never() });
    await events.next();
    await backend.close();
    expect(isAlive(pid)).toBe(false);
    const rest = (async () => {
      while (!(await events.next()).done);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'draining' });
    await expect(read(pulled(backend, requestFor('Hi'), { signal: never() }))).rejects.toMatchObject({
      code: 'draining',
    });
  });

  it('ends when its parent is killed', async () => {
    const parentPath = fileURLToPath(new URL('../support/engine-parent.mjs', import.meta.url));
    const parent: ChildProcess = fork(parentPath, [defaultEnginePath(), await modelPath()], { execArgv: [] });
    const enginePid = await new Promise<number>((resolve) =>
      parent.once('message', (pid) => resolve(Number(pid))),
    );
    expect(isAlive(enginePid)).toBe(true);
    parent.kill('SIGKILL');
    await ended(enginePid);
  });

  it.each([
    [
      'garbage',
      (path: string) => writeFile(path, 'GGUF but not really'.repeat(100)),
      /has GGUF version \d+.*download a newer release/,
    ],
    ['truncated', truncatedModel, /is truncated.*Download it again/],
  ] as const)(
    'names a %s model file, says what to do, and does not try it again and again',
    async (name, make, advice) => {
      const model = join(folder, `${name}.gguf`);
      await make(model);
      const engine = embeddedEngine({ model, slots: 1 });
      const thrown: unknown = await engine.backend
        .warmUp({ signal: never() })
        .catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(ServingError);
      expect((thrown as ServingError).message).toContain(model);
      expect((thrown as ServingError).message).toMatch(advice);
      expect(await engine.backend.probe()).toMatchObject({
        loaded: false,
        state: expect.stringMatching(/failed|not_found/),
      });
      expect(engine.pids).toEqual([]);
      expect(engine.lines.filter((line) => line.includes('restartInMs')).length).toBeLessThan(3);
    },
  );
});

async function truncatedModel(path: string): Promise<void> {
  const whole = await open(await modelPath());
  const { buffer } = await whole.read({ buffer: Buffer.alloc(8 * 1024 * 1024) });
  await whole.close();
  await writeFile(path, buffer);
}
