import { describe, expect, it } from 'vitest';
import { CapabilityCache } from '../../../../src/backends/ollama/capabilities.ts';
import type { GenerationRequest, ToolUse } from '../../../../src/core/generation.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { replaceModel, runningOllama, seenAt, unload } from '../../../support/stand-ins/running-ollama.ts';
import type { StandIn } from '../../../support/stand-ins/stand-in-server.ts';

const TOOLS: ToolUse = { tools: [{ name: 'clock' }], choice: 'auto' };
const IMAGE = { mediaType: 'image/png', base64: 'iVBORw0KGgo=', at: 0 };

function withImage(content: string): GenerationRequest {
  const messages = [{ role: 'user', content, images: [IMAGE] }] as const;
  return chatRequest('', { input: { kind: 'chat', messages } });
}

describe('what the model can do', () => {
  it.each([
    [{}, ['generate']],
    [{ callsTools: true, thinks: true, sees: true }, ['generate', 'tools', 'think', 'see']],
    [{ embedsOnly: true }, ['embed']],
  ])('is told by a probe: with %o', async (options, abilities) => {
    const { backend } = await runningOllama(options);
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready', abilities });
  });

  it('is asked once, however many probes and requests there are', async () => {
    const { standIn, backend } = await runningOllama({ callsTools: true });
    await backend.probe({ signal: neverAborted() });
    await backend.probe({ signal: neverAborted() });
    await backend.warmUp({ signal: neverAborted() });
    await generateAll(backend, chatRequest('one'));
    await generateAll(backend, chatRequest('two', { tools: TOOLS }));
    expect(seenAt(standIn, '/api/show')).toHaveLength(1);
  });

  it('is not asked for requests that ask nothing of it', async () => {
    const { standIn, backend } = await runningOllama();
    const { thinking: _, ...plain } = chatRequest('hello');
    await generateAll(backend, plain);
    expect(seenAt(standIn, '/api/show')).toEqual([]);
  });

  it.each([
    ['unloaded', unload],
    ['unreachable', (standIn: StandIn) => standIn.setFault('refuse')],
  ] as const)('is asked again after a probe found the model %s', async (state, leave) => {
    const { standIn, backend } = await runningOllama();
    await generateAll(backend, chatRequest('one'));
    await leave(standIn);
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state });
    await backend.probe({ signal: neverAborted() });
    await standIn.setFault('none');
    await generateAll(backend, chatRequest('two'));
    expect(seenAt(standIn, '/api/show')).toHaveLength(2);
  });

  it('is asked again when another model has the name', async () => {
    const { standIn, backend } = await runningOllama();
    await backend.probe({ signal: neverAborted() });
    await replaceModel(standIn);
    await backend.probe({ signal: neverAborted() });
    expect(seenAt(standIn, '/api/show')).toHaveLength(2);
  });
});

it('is not remembered of a model that was replaced while it was asked', async () => {
  const answers: ((told: unknown) => void)[] = [];
  const abilities = new CapabilityCache(() => new Promise((answer) => void answers.push(answer)));
  const before = abilities.learn(neverAborted());
  abilities.forget();
  const after = abilities.learn(neverAborted());
  answers[1]?.({ capabilities: ['completion', 'tools'] });
  await after;
  answers[0]?.({ capabilities: ['embedding'] });
  await before;
  expect(abilities.abilities).toEqual(['generate', 'tools']);
});

describe('what the model cannot do', () => {
  it.each([
    ['think', chatRequest('hello', { thinking: true })],
    ['tools', chatRequest('hello', { tools: TOOLS })],
    ['messages[0].images', withImage('hello')],
  ])('is refused by name, before the server passes over it: %s', async (param, request) => {
    const { standIn, backend } = await runningOllama();
    const { events, error } = await generateAll(backend, request);
    expect(error).toMatchObject({ code: 'unsupported_parameter', param });
    expect(events).toEqual([]);
    expect(seenAt(standIn, '/api/chat')).toEqual([]);
  });

  it('goes before what the server cannot do beside it, which may be asked for without it', async () => {
    const { backend } = await runningOllama();
    await backend.probe({ signal: neverAborted() });
    for (const choice of ['auto', 'required'] as const) {
      const asked = { tools: { ...TOOLS, choice }, output: { kind: 'json' } } as const;
      const { error } = await generateAll(backend, chatRequest('hello', asked));
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'tools' });
    }
    const { events } = await generateAll(backend, chatRequest('hello', { output: { kind: 'json' } }));
    expect(events.at(-1)).toMatchObject({ type: 'finish' });
  });

  it('does not matter where tools may not be called', async () => {
    const { standIn, backend } = await runningOllama();
    const tools = { ...TOOLS, choice: 'none' } as const;
    expect((await generateAll(backend, chatRequest('hello', { tools }))).error).toBeUndefined();
    expect(standIn.seen().at(-1)?.body).not.toHaveProperty('tools');
  });

  it('is refused by the server, where its release does not tell beforehand', async () => {
    const { backend } = await runningOllama({ tellsCapabilities: false });
    expect((await backend.probe({ signal: neverAborted() })).abilities).toBeUndefined();
    const { error } = await generateAll(backend, chatRequest('hello', { tools: TOOLS }));
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'tools' });
    expect((await generateAll(backend, withImage('hello'))).error).toBeUndefined();
  });
});

it('is shown the images of a message', async () => {
  const { standIn, backend } = await runningOllama({ sees: true });
  const { events } = await generateAll(backend, withImage('hello'));
  expect(standIn.seen().at(-1)?.body.messages).toEqual([
    { role: 'user', content: 'hello', images: [IMAGE.base64] },
  ]);
  expect(events).toContainEqual({ type: 'text', text: '[img-0]' });
});
