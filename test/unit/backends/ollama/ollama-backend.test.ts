import { afterEach, describe, expect, it } from 'vitest';
import { OllamaBackend, type OllamaTarget } from '../../../../src/backends/ollama/ollama-backend.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import {
  chatRequest,
  generateAll,
  neverAborted,
  textOf,
  textRequest,
} from '../../../support/stand-ins/generate.ts';
import { type OllamaStandInOptions, startOllamaStandIn } from '../../../support/stand-ins/ollama-stand-in.ts';
import type { Fault, StandIn } from '../../../support/stand-ins/stand-in-server.ts';

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(
  options: OllamaStandInOptions = {},
  overrides: Partial<OllamaTarget> = {},
): Promise<{ standIn: StandIn; backend: OllamaBackend }> {
  const standIn = await startOllamaStandIn(options);
  const target = {
    model: 'smollm2',
    url: standIn.url,
    keep_alive: -1,
    connect_timeout_ms: 500,
    ...overrides,
  };
  const backend = new OllamaBackend(target, { clock: systemClock });
  endings.push(
    () => backend.close(),
    () => standIn.close(),
  );
  return { standIn, backend };
}

async function unload({ url, model }: StandIn): Promise<void> {
  const body = JSON.stringify({ model, keep_alive: 0 });
  await (await fetch(`${url}/api/generate`, { method: 'POST', body })).text();
}

function aborted(milliseconds: number): AbortSignal {
  const controller = new AbortController();
  systemClock.schedule(milliseconds, () => controller.abort());
  return controller.signal;
}

describe('requests', () => {
  it('sends messages, every option by its name there, and asks for no cut and no shift', async () => {
    const { standIn, backend } = await start({}, { context_size: 2048, keep_alive: '10m' });
    await generateAll(
      backend,
      chatRequest('hello', {
        sampling: {
          temperature: 0.5,
          topP: 0.9,
          topK: 0,
          minP: 0.1,
          seed: 3,
          presencePenalty: 1,
          frequencyPenalty: -1,
          repeatPenalty: 1.1,
        },
        limits: { maxTokens: 4, stop: ['END'] },
      }),
    );
    expect(standIn.seen().at(-1)).toMatchObject({
      path: '/api/chat',
      body: {
        model: 'smollm2',
        stream: true,
        truncate: false,
        shift: false,
        keep_alive: '10m',
        messages: [{ role: 'user', content: 'hello' }],
        options: {
          num_ctx: 2048,
          num_predict: 4,
          temperature: 0.5,
          top_p: 0.9,
          top_k: 0,
          min_p: 0.1,
          seed: 3,
          presence_penalty: 1,
          frequency_penalty: -1,
          repeat_penalty: 1.1,
          stop: ['END'],
        },
      },
    });
    expect(standIn.seen().at(-1)?.body).not.toHaveProperty('think');
  });

  it('sends a prompt without a template as raw, and leaves unset options to the server', async () => {
    const { standIn, backend } = await start();
    await generateAll(backend, textRequest('Once upon a time', { limits: { stop: [] } }));
    const { path, body } = standIn.seen().at(-1) ?? {};
    expect(path).toBe('/api/generate');
    expect(body).toMatchObject({ prompt: 'Once upon a time', raw: true, options: {} });
    expect(body?.options).toEqual({});
  });

  it('sends the form of the text as it comes, with a template and without', async () => {
    const { standIn, backend } = await start();
    const schema = { type: 'object', properties: { name: { type: 'string' } } };
    await generateAll(backend, chatRequest('hello', { output: { kind: 'json-schema', schema } }));
    expect(standIn.seen().at(-1)).toMatchObject({ path: '/api/chat', body: { format: schema } });
    await generateAll(backend, textRequest('hello', { output: { kind: 'json' } }));
    expect(standIn.seen().at(-1)).toMatchObject({ path: '/api/generate', body: { format: 'json' } });
  });

  it.each([
    ['grammar', { output: { kind: 'grammar', grammar: 'root ::= "a"' } }],
    ['tools', { tools: { tools: [{ name: 'clock' }], choice: 'auto' } }],
    ['logprobs', { logprobs: { top: 0 } }],
    ['logit_bias', { sampling: { logitBias: [{ token: 3, bias: 1 }] } }],
  ] as const)('refuses %s by name before anything is sent', async (param, overrides) => {
    const { standIn, backend } = await start();
    const { error } = await generateAll(backend, chatRequest('hello', overrides));
    expect(error).toMatchObject({ code: 'invalid_request', param });
    expect(standIn.seen()).toEqual([]);
  });

  it('asks only once whether the model can think', async () => {
    const { standIn, backend } = await start();
    await generateAll(backend, chatRequest('one'));
    await generateAll(backend, chatRequest('two'));
    expect(standIn.seen().filter(({ path }) => path === '/api/show')).toHaveLength(1);
  });

  it.each([
    ['unloaded', unload],
    ['unreachable', (standIn: StandIn) => standIn.setFault('refuse')],
  ] as const)('asks again whether the model can think after a probe found it %s', async (state, leave) => {
    const { standIn, backend } = await start();
    await generateAll(backend, chatRequest('one'));
    await leave(standIn);
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state });
    await standIn.setFault('none');
    await generateAll(backend, chatRequest('two'));
    expect(standIn.seen().filter(({ path }) => path === '/api/show')).toHaveLength(2);
  });
});

describe('thinking', () => {
  it('is switched off by default for a model that can', async () => {
    const { standIn, backend } = await start({ thinks: true });
    const { events } = await generateAll(backend, chatRequest('hello'));
    expect(standIn.seen().at(-1)?.body.think).toBe(false);
    expect(events.some(({ type }) => type === 'reasoning')).toBe(false);
  });

  it('comes apart from the text when it is wished', async () => {
    const { standIn, backend } = await start({ thinks: true });
    const { events } = await generateAll(backend, chatRequest('hello', { thinking: 'high' }));
    expect(standIn.seen().at(-1)?.body.think).toBe('high');
    expect(events).toContainEqual({ type: 'reasoning', text: 'Let me think.' });
    expect(textOf(events)).not.toContain('think');
  });

  it('is refused for a model that cannot', async () => {
    const { backend } = await start();
    const { error } = await generateAll(backend, chatRequest('hello', { thinking: true }));
    expect(error).toMatchObject({ code: 'invalid_request', param: 'think' });
  });
});

describe('faults', () => {
  it.each<[Fault, string, boolean]>([
    ['refuse', 'no_backend_available', false],
    ['reset', 'backend_error', false],
    ['not-http', 'backend_error', false],
    ['garbage', 'backend_error', false],
    ['error-500', 'backend_error', false],
    ['busy', 'no_backend_available', false],
    ['cut', 'backend_error', true],
    ['end-early', 'backend_error', true],
    ['error-mid-stream', 'backend_error', true],
  ])('%s becomes %s', async (fault, code, afterText) => {
    const { standIn, backend } = await start();
    await generateAll(backend, chatRequest('warm'));
    await standIn.setFault(fault);
    if (fault === 'refuse') await backend.probe({ signal: neverAborted() });
    const { events, error } = await generateAll(backend, chatRequest('hello there'));
    expect(error).toMatchObject({ code });
    expect(textOf(events) !== '').toBe(afterText);
    expect(events.some(({ type }) => type === 'finish')).toBe(false);
  });

  it('passes the server’s Retry-After on', async () => {
    const { backend } = await start({ fault: 'busy' });
    expect((await generateAll(backend, chatRequest('hello'))).error).toMatchObject({ retryAfterSeconds: 7 });
  });

  it.each<Fault>(['hang', 'hang-mid-stream'])(
    '%s ends with the caller’s abort, which the server sees',
    async (fault) => {
      const { standIn, backend } = await start({ fault });
      const { error } = await generateAll(backend, chatRequest('hello there'), aborted(50));
      expect(error).toMatchObject({ name: 'AbortError' });
      await standIn.until(({ aborted: seen, inFlight }) => seen === 1 && inFlight === 0);
    },
  );

  it('tells no words of the server’s own failures to the client', async () => {
    const { backend } = await start({ fault: 'error-500' });
    const { error } = await generateAll(backend, chatRequest('hello'));
    expect((error as Error).message).not.toContain('llama runner');
    expect(String(((error as Error).cause as Error).message)).toContain('llama runner');
  });

  it('names the command that fetches a missing model', async () => {
    const { backend } = await start({}, { model: 'llama3.2' });
    const { error } = await generateAll(backend, chatRequest('hello'));
    expect(error).toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining('ollama pull llama3.2'),
    });
    await expect(backend.warmUp({ signal: neverAborted() })).rejects.toMatchObject({
      code: 'model_not_found',
    });
  });
});

describe('context', () => {
  it('maps the refusal of releases that refuse', async () => {
    const { backend } = await start({}, { context_size: 32 });
    const { error } = await generateAll(backend, chatRequest('word '.repeat(40)));
    expect(error).toMatchObject({ code: 'context_length_exceeded', message: expect.stringContaining('32') });
  });

  it('ends with an error instead of a finish where an old release cut the prompt', async () => {
    const { backend } = await start({ cutsPrompts: true }, { context_size: 32 });
    const { events, error } = await generateAll(backend, chatRequest('word '.repeat(40)));
    expect(error).toMatchObject({ code: 'context_length_exceeded' });
    expect(events.some(({ type }) => type === 'finish')).toBe(false);
  });
});

describe('probe', () => {
  it('finds a loaded model ready, with the context that the server gave it', async () => {
    const { backend } = await start();
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'ready',
      loaded: true,
      contextSize: 4096,
    });
  });

  it('finds an installed model unloaded, and whether the user lets it', async () => {
    const forGood = await start({ loaded: false });
    expect(await forGood.backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'unloaded',
      mayUnload: false,
    });
    const finite = await start({ loaded: false }, { keep_alive: '5m' });
    expect(await finite.backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'unloaded',
      mayUnload: true,
    });
    await finite.backend.warmUp({ signal: neverAborted() });
    expect(await finite.backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'ready',
      mayUnload: true,
    });
  });

  it('loads a model that only embeds by its own route', async () => {
    const { standIn, backend } = await start({ embedsOnly: true, loaded: false }, { context_size: 512 });
    await backend.warmUp({ signal: neverAborted() });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready', loaded: true });
    const loads = standIn.seen().filter(({ path }) => path === '/api/embed');
    expect(loads.map(({ body }) => body)).toEqual([
      {
        model: 'smollm2',
        input: [],
        keep_alive: -1,
        truncate: false,
        options: { num_ctx: 512 },
      },
    ]);
  });

  it('compares names as the server does', async () => {
    const { backend } = await start({}, { model: 'registry.ollama.ai/library/SmolLM2:latest' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
  });

  it('finds a model that is not installed', async () => {
    const { backend } = await start({}, { model: 'smollm2:135m' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'not_found',
      loaded: false,
    });
  });

  it('finds a server that is gone unreachable', async () => {
    const { backend } = await start({ fault: 'refuse' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'unreachable' });
  });

  it('takes a server that fell silent for a loading one, and one that was never heard for unreachable', async () => {
    const { standIn, backend } = await start();
    await backend.probe({ signal: neverAborted() });
    await standIn.setFault('silent');
    expect(await backend.probe({ signal: aborted(30) })).toMatchObject({ state: 'loading' });
    const never = await start({ fault: 'silent' });
    expect(await never.backend.probe({ signal: aborted(30) })).toMatchObject({ state: 'unreachable' });
  });
});
