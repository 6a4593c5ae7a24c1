/** The embedded engine's backend over an engine process that does what a test says. */

import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LlamaCppBackend } from '../../../../src/backends/llama-cpp/engine-backend.ts';
import { EngineProcess } from '../../../../src/backends/llama-cpp/engine-process.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../../../src/core/generation.ts';
import { embeddedEngine, never, requestFor } from '../../../support/embedded-engine.ts';
import { FINISH, fakeEngines, LOADED } from '../../../support/fake-engine.ts';
import { processListeners } from '../../../support/process-listeners.ts';
import { tinyModelFile } from '../../../support/tiny-model-file.ts';

const fakeEngine = fakeEngines();
const GONE = new ServingError('client_gone');

afterEach(() => vi.restoreAllMocks());

async function start(onMessage: string): Promise<LlamaCppBackend> {
  const { path } = await tinyModelFile();
  const script = fakeEngine(`if (message.type === 'load') { ${LOADED} } ${onMessage}`);
  const { backend } = embeddedEngine({ model: path }, script);
  onTestFinished(() => backend.close());
  await backend.warmUp({ signal: never() });
  return backend;
}

/** What the sink of a generation has been told. */
function generate(backend: LlamaCppBackend, more: Partial<GenerationRequest> = {}) {
  const told: (GenerationEvent['type'] | ServingError['code'])[] = [];
  const sink = {
    event: ({ type }: GenerationEvent) => void told.push(type),
    fail: ({ code }: ServingError) => void told.push(code),
  };
  const generation = backend.generate({ ...requestFor('Hi'), ...more }, sink, {});
  return { generation, told };
}

describe('a generation of the embedded engine', () => {
  it('is handed to the engine before `generate` returns, where nothing binds the answer', async () => {
    const backend = await start(`if (message.type === 'generate') { ${FINISH} }`);
    const sent = vi.spyOn(EngineProcess.prototype, 'send');
    const tools = { tools: [{ name: 'now' }], choice: 'auto' } as const;
    const both = [generate(backend), generate(backend, { tools })];
    expect(sent.mock.calls.map(([{ type }]) => type)).toEqual(['generate', 'generate']);
    await Promise.all(both.map(({ generation }) => generation.released));
    expect(both.map(({ told }) => told)).toEqual([['finish'], ['finish']]);
  });

  it('is handed over with its grammar, where there is one', async () => {
    const backend = await start(
      `if (message.type === 'generate' && message.generation.grammar) { ${FINISH} }`,
    );
    const { generation, told } = generate(backend, { output: { kind: 'choice', choices: ['yes', 'no'] } });
    await generation.released;
    expect(told).toEqual(['finish']);
  });

  it('rejects through its sink once `generate` has returned', async () => {
    const { backend } = embeddedEngine();
    const image = { mediaType: 'image/png', base64: '', at: 0 };
    const messages = [{ role: 'user', content: 'Look.', images: [image] }] as const;
    const cases = [
      [generate(backend, { input: { kind: 'chat', messages } }), 'unsupported_parameter'],
      [generate(backend), 'model_loading'],
      [generate(backend, { output: { kind: 'grammar', grammar: 'no grammar' } }), 'invalid_request'],
    ] as const;
    expect(cases.map(([{ told }]) => told)).toEqual([[], [], []]);
    for (const [{ generation, told }, code] of cases) {
      await generation.released;
      expect(told).toEqual([code]);
    }
  });

  it('cancelled while its grammar is compiled, is released, and the engine never has it', async () => {
    const backend = await start('');
    const sent = vi.spyOn(EngineProcess.prototype, 'send');
    const { generation, told } = generate(backend, { output: { kind: 'regex', regex: 'a{1,9}' } });
    generation.cancel(GONE);
    expect(told).toEqual(['client_gone']);
    await generation.released;
    expect(sent).not.toHaveBeenCalled();
  });

  it('is paused, resumed and cancelled in the engine, which frees it', async () => {
    const backend = await start(
      `globalThis.heard ??= [];
       if (message.type !== 'load') heard.push(message.type);
       if (message.type === 'abort') {
         const event = { type: heard.join() === 'generate,pause,resume,pause,abort' ? 'freed' : 'unexpected' };
         process.send({ type: 'events', events: [{ id: message.id, event }] });
       }`,
    );
    const { generation, told } = generate(backend);
    generation.pause();
    generation.resume();
    generation.pause();
    generation.cancel(GONE);
    expect(told).toEqual(['client_gone']);
    await generation.released;
  });

  it('a thousand of which are cancelled, ends once each time and leaves no listener', async () => {
    const backend = await start(
      `if (message.type === 'abort') process.send({ type: 'events', events: [{ id: message.id, event: { type: 'freed' } }] });`,
    );
    const before = processListeners();
    for (let round = 0; round < 10; round++) {
      const all = Array.from({ length: 100 }, () => generate(backend));
      for (const { generation } of all) generation.cancel(GONE);
      await Promise.all(all.map(({ generation }) => generation.released));
      expect(all.map(({ told }) => told)).toEqual(all.map(() => ['client_gone']));
    }
    // Other tests of this process may have some that come and go.
    expect(processListeners()).toBeLessThan(before + 100);
  });
});
