/** What a request met counts more than what the server lists: a runner is listed under the name that started it alone. */

import { describe, expect, it } from 'vitest';
import { ModelPresence } from '../../../../src/backends/ollama/probe.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { deleteModel, runningOllama, unload } from '../../../support/stand-ins/running-ollama.ts';

const TWO_NAMES = { release: '0.32.15', otherNames: ['smollm2-tools'] } as const;

describe('a second name of weights that are loaded under another', () => {
  it('is ready after its warm-up, which costs no load', async () => {
    const { standIn, backend } = await runningOllama(TWO_NAMES, { model: 'smollm2-tools' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'unloaded' });
    await backend.warmUp({ signal: neverAborted() });
    for (let probe = 0; probe < 3; probe += 1)
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready', loaded: true });
    expect(standIn.loads()).toBe(0);
  });

  it('is ready after a request that was answered', async () => {
    const { backend } = await runningOllama(TWO_NAMES, { model: 'smollm2-tools' });
    await generateAll(backend, chatRequest('hello'));
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready', loaded: true });
  });

  it('has the context of the runner that holds it', async () => {
    const { backend } = await runningOllama({ ...TWO_NAMES, contextSize: 2048 }, { model: 'smollm2-tools' });
    await backend.warmUp({ signal: neverAborted() });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ contextSize: 2048 });
  });

  it('is found unloaded when that runner is gone', async () => {
    const { standIn, backend } = await runningOllama(TWO_NAMES, { model: 'smollm2-tools', keep_alive: '5m' });
    await backend.warmUp({ signal: neverAborted() });
    await backend.probe({ signal: neverAborted() });
    await unload(standIn);
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'unloaded',
      loaded: false,
      mayUnload: true,
    });
  });
});

describe('a model that was deleted', () => {
  it('is not found from then on, and found again when it is there again', async () => {
    const { standIn, backend } = await runningOllama({ release: '0.32.15' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
    await deleteModel(standIn, 'smollm2');
    expect((await generateAll(backend, chatRequest('hello'))).error).toMatchObject({
      code: 'model_not_found',
    });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'not_found' });
  });

  it('is not found after a request met that, whatever the server goes on listing', async () => {
    const { standIn, backend } = await runningOllama({ release: '0.32.15', listsDeleted: true });
    await backend.probe({ signal: neverAborted() });
    await deleteModel(standIn, 'smollm2');
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
    await generateAll(backend, chatRequest('hello'));
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'not_found',
      detail: expect.stringContaining('ollama pull smollm2'),
    });
  });
});

describe('presence', () => {
  const details = { family: 'llama', parameter_size: '3B', quantization_level: 'Q4_K_M' };
  const installed = { model: 'mine:latest', details };
  const entry = (model: string, facts: object = details) => ({ model, details: facts });
  const list = (askedAt: number, ...running: object[]) => ({
    model: 'mine',
    installed,
    running: running as Record<string, unknown>[],
    askedAt,
  });

  it('takes an answer for newer than a list that was asked for before it', () => {
    const presence = new ModelPresence();
    presence.noteAnswered(5);
    expect(presence.findRunner(list(4))).toEqual({});
    expect(presence.findRunner(list(6))).toBeUndefined();
  });

  it('takes no runner of other weights for the one that answered', () => {
    const presence = new ModelPresence();
    presence.noteAnswered(5);
    expect(presence.findRunner(list(6, entry('other', { ...details, family: 'qwen2' })))).toBeUndefined();
  });

  it('takes facts that are not told for no contradiction', () => {
    const presence = new ModelPresence();
    presence.noteAnswered(5);
    expect(presence.findRunner(list(6, entry('other', {})))).toMatchObject({ model: 'other' });
  });

  it('is gone with its own name from the list: what stands there now displaced it', () => {
    const presence = new ModelPresence();
    presence.noteAnswered(5);
    expect(presence.findRunner(list(6, entry('mine:latest')))).toMatchObject({ model: 'mine:latest' });
    presence.noteAnswered(7);
    expect(presence.findRunner(list(8, entry('a-finetune')))).toBeUndefined();
    expect(presence.findRunner(list(9, entry('a-finetune')))).toBeUndefined();
    presence.noteAnswered(10);
    expect(presence.findRunner(list(11, entry('a-finetune')))).toMatchObject({ model: 'a-finetune' });
  });

  it('lasts as long as a runner that was there when it answered', () => {
    const presence = new ModelPresence();
    presence.noteAnswered(5);
    presence.findRunner(list(6, entry('other')));
    expect(presence.findRunner(list(7, entry('other'), entry('late')))).toMatchObject({ model: 'other' });
    expect(presence.findRunner(list(8, entry('late')))).toBeUndefined();
  });

  it('forgets after a while that it was missing, so that the model is tried again', () => {
    const presence = new ModelPresence();
    presence.noteMissing(1000);
    expect([presence.isMissing(1001), presence.isMissing(30_999), presence.isMissing(31_000)]).toEqual([
      true,
      true,
      false,
    ]);
    presence.noteMissing(40_000);
    presence.noteAnswered(40_001);
    expect(presence.isMissing(40_002)).toBe(false);
  });
});
