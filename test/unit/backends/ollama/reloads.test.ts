/** Since 0.30 a runner belongs to what it was started with: nothing that we send may have the model loaded anew. */
import { describe, expect, it } from 'vitest';
import {
  chatRequest,
  generateAll,
  neverAborted,
  textOf,
  textRequest,
} from '../../../support/stand-ins/generate.ts';
import { runningOllama, seenAt } from '../../../support/stand-ins/running-ollama.ts';
import type { StandIn } from '../../../support/stand-ins/stand-in-server.ts';

/** As Ollama's own command line does. */
async function askAsOthersDo({ url, model }: StandIn): Promise<void> {
  const body = JSON.stringify({ model, prompt: 'hi', stream: false });
  await (await fetch(`${url}/api/generate`, { method: 'POST', body })).text();
}

describe.each([
  ['the server’s context', {}],
  ['a context of our own', { context_size: 2048 }],
])('with %s', (_, target) => {
  it('eight requests cost one load, and every probe between them finds the model ready', async () => {
    const { standIn, backend } = await runningOllama({ release: '0.32.15', loaded: false }, target);
    const states: string[] = [];
    const probe = async () => states.push((await backend.probe({ signal: neverAborted() })).state);
    await probe();
    await backend.warmUp({ signal: neverAborted() });
    await probe();
    for (let turn = 0; turn < 4; turn += 1) {
      await generateAll(backend, chatRequest('hello'));
      await probe();
      await generateAll(backend, textRequest('hello'));
      await probe();
    }
    expect(standIn.loads()).toBe(1);
    expect(states).toEqual(['unloaded', ...Array(9).fill('ready')]);
  });
});

it('others who use the same server cost no load, and have none for us', async () => {
  const { standIn, backend } = await runningOllama({ release: '0.32.15', loaded: false });
  await backend.probe({ signal: neverAborted() });
  await backend.warmUp({ signal: neverAborted() });
  await askAsOthersDo(standIn);
  await generateAll(backend, chatRequest('hello'));
  await askAsOthersDo(standIn);
  expect(standIn.loads()).toBe(1);
});

it('a model that embeds is loaded once', async () => {
  const { standIn, backend } = await runningOllama({ release: '0.32.15', embedsOnly: true, loaded: false });
  await backend.probe({ signal: neverAborted() });
  await backend.warmUp({ signal: neverAborted() });
  const inputs = ['a cat', 'a dog'];
  await backend.embed({ model: 'smollm2', inputs }, { signal: neverAborted() });
  expect(standIn.loads()).toBe(1);
});

it('a model that generates is said to make no embeddings', async () => {
  const { backend } = await runningOllama({ release: '0.32.15' });
  const embedded = backend.embed({ model: 'smollm2', inputs: ['a cat'] }, { signal: neverAborted() });
  await expect(embedded).rejects.toMatchObject({ code: 'invalid_request', param: 'model' });
});

describe('shift', () => {
  it.each([
    ['0.17.4', true],
    ['0.29.1', true],
    ['0.30.0', false],
    ['0.30.0-rc1', false],
    ['0.32.15', false],
    ['1.0.0', false],
    ['0.0.0', false],
    ['', false],
    [false, false],
  ] as const)('is said to a server of release %s: %s', async (toldVersion, said) => {
    const { standIn, backend } = await runningOllama({ toldVersion });
    await backend.probe({ signal: neverAborted() });
    await generateAll(backend, chatRequest('hello'));
    const [request] = seenAt(standIn, '/api/chat');
    expect(request?.body.truncate).toBe(false);
    expect(request?.body.shift).toBe(said ? false : undefined);
  });

  it('is not said before the release is known', async () => {
    const { standIn, backend } = await runningOllama();
    await generateAll(backend, chatRequest('hello'));
    expect(seenAt(standIn, '/api/chat')[0]?.body).not.toHaveProperty('shift');
  });
});

describe('an answer that outgrows the context', () => {
  it('is told as cut where the server shifts, and is never longer than the context', async () => {
    const { backend } = await runningOllama({ release: '0.32.15' }, { context_size: 32 });
    await backend.probe({ signal: neverAborted() });
    const { events } = await generateAll(
      backend,
      chatRequest('one two three four five six seven eight nine ten', { limits: { stop: [] } }),
    );
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'length', usage: { promptTokens: 10 } });
    expect(textOf(events).split(' ').length).toBeLessThanOrEqual(32);
  });

  it('is told as cut where it ended by itself after the context was shifted', async () => {
    const { backend } = await runningOllama({ release: '0.32.15' }, { context_size: 50 });
    const { events } = await generateAll(
      backend,
      chatRequest('one two three four five six seven eight nine ten', { limits: { stop: [] } }),
    );
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'length' });
  });

  it('ends by itself where all of it has room', async () => {
    const { backend } = await runningOllama({ release: '0.32.15' }, { context_size: 64 });
    const { events } = await generateAll(backend, chatRequest('one two three', { limits: { stop: [] } }));
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'stop' });
  });
});
