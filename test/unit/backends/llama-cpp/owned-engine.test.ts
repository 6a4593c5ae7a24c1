/** What a process that runs an engine tells the others of it; the engine's process does what the test says. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { EngineDirectory, type EngineNotice } from '../../../../src/backends/engine-sharing.ts';
import type { LlamaCppTarget } from '../../../../src/backends/llama-cpp/engine-source.ts';
import { createEngine, never, requestFor } from '../../../support/embedded-engine.ts';
import { fakeEngines, LOADED } from '../../../support/fake-engine.ts';
import { pulled } from '../../../support/pulled-generation.ts';
import { tinyModelFile } from '../../../support/tiny-model-file.ts';

const fakeEngine = fakeEngines();

interface Told {
  readonly state: { readonly phase: string };
  readonly address?: string;
  readonly loss?: string;
}

/** All that was told; null: that it is gone for good. */
async function start(onMessage: string, overrides: Partial<LlamaCppTarget> = {}) {
  const directory = new EngineDirectory();
  onTestFinished(() => directory.remove());
  const told: (Told | null)[] = [];
  const names: string[] = [];
  const { path } = await tinyModelFile();
  const engine = createEngine({ model: path, ...overrides }, fakeEngine(onMessage), {
    mode: 'owns',
    directory,
    announce: (name) => {
      names.push(name);
      return {
        tell: (notice: EngineNotice) => void told.push(JSON.parse(JSON.stringify(notice)) as Told),
        end: () => void told.push(null),
      };
    },
  });
  onTestFinished(() => engine.backend.close());
  return { ...engine, told, names };
}

const phases = (told: readonly (Told | null)[]) => told.map((one) => one?.state.phase ?? 'gone');

/** Listens as far as the file of a socket goes. */
const LISTENS = `process.getBuiltinModule('node:fs').writeFileSync(message.guestAddress, '');`;

it('is told at each change, with an address of its own for each engine, which is removed when it ends', async () => {
  const { backend, told } = await start(
    `if (message.type === 'load') { ${LISTENS} ${LOADED} } if (message.type === 'generate') process.exit(1);`,
  );
  expect(phases(told)).toEqual(['idle']);
  await backend.warmUp({ signal: never() });
  const first = told.at(-1)?.address as string;
  expect(existsSync(first)).toBe(true);
  const events = pulled(backend, requestFor('Hi'), { signal: never() });
  await expect(events.next()).rejects.toMatchObject({ code: 'backend_error' });
  await vi.waitFor(() => expect(phases(told).at(-1)).toBe('ready'), { timeout: 60_000 });
  const second = told.at(-1)?.address as string;
  expect(second).not.toBe(first);
  expect(readdirSync(dirname(second))).toHaveLength(1);
  await backend.close();
  expect(phases(told)).toEqual(['idle', 'loading', 'ready', 'restarting', 'ready', 'gone']);
  expect(told[3]).toMatchObject({ loss: 'stopped', state: { waitWorthwhile: true } });
  expect(told[2]).toMatchObject({ state: { contextSize: 64, abilities: ['generate'] } });
  expect(readdirSync(dirname(second))).toEqual([]);
});

it('is told to have failed with the reason, for who looks at the target', async () => {
  const { backend, told } = await start(
    `if (message.type === 'load') process.send({ type: 'load_failed', message: 'The file is broken.', gpuFailed: false });`,
  );
  await expect(backend.warmUp({ signal: never() })).rejects.toThrow('The file is broken.');
  expect(told.at(-1)).toEqual({ state: { phase: 'failed', message: 'The file is broken.' } });
});

it('has the same name in every process of a configuration, and another one where it has to be loaded otherwise', async () => {
  const { path: model } = await tinyModelFile();
  const names = async (overrides: object) => (await start('', { model, ...overrides })).names;
  const [same, again, other, elsewhere] = await Promise.all(
    [{}, {}, { context_size: 128 }, { id: 'second' }].map(names),
  );
  expect(again).toEqual(same);
  expect(new Set([same, other, elsewhere].flat()).size).toBe(3);
});
