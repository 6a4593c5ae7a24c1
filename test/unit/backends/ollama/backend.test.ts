import { describe, expect, it } from 'vitest';
import { ollama } from '../../../../src/backends/ollama/backend.ts';
import { type LogFields, silentLog } from '../../../../src/core/log.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import {
  chatRequest,
  generateAll,
  neverAborted,
  textOf,
  textRequest,
} from '../../../support/stand-ins/generate.ts';
import { runningOllama, seenAt } from '../../../support/stand-ins/running-ollama.ts';
import { FAULT_OUTCOMES, type Fault, type StandIn } from '../../../support/stand-ins/stand-in-server.ts';

describe('the configuration of a target', () => {
  it('says at the start that the server’s parallelism should equal the slots', async () => {
    const lines: [string, LogFields | undefined][] = [];
    const backend = ollama.create(
      {
        id: 'a',
        model: 'smollm2',
        url: 'http://127.0.0.1:1',
        keep_alive: -1,
        slots: 3,
        connect_timeout_ms: 100,
        first_token_timeout_ms: 100,
        idle_timeout_ms: 100,
      },
      {
        clock: systemClock,
        log: { ...silentLog, info: (message, fields) => void lines.push([message, fields]) },
        cacheDirectory: '',
        processEnvironment: {},
        onDownloadProgress() {},
      },
    );
    await backend.close();
    expect(lines).toEqual([
      [expect.stringMatching(/OLLAMA_NUM_PARALLEL.*3.*default is 1/), { model: 'smollm2', slots: 3 }],
    ]);
  });
});

describe('ollama backend', () => {
  function aborted(milliseconds: number): AbortSignal {
    const controller = new AbortController();
    systemClock.schedule(milliseconds, () => controller.abort());
    return controller.signal;
  }

  describe('requests', () => {
    it('sends messages, every option by its name there, and asks for no cut and no shift', async () => {
      const { standIn, backend } = await runningOllama({}, { context_size: 2048, keep_alive: '10m' });
      await backend.probe({ signal: neverAborted() });
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
            repeatLastN: -1,
            typicalP: 0.7,
          },
          limits: { maxTokens: 4, keepTokens: 24, stop: ['END'] },
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
            repeat_last_n: -1,
            typical_p: 0.7,
            num_keep: 24,
            stop: ['END'],
          },
        },
      });
      expect(standIn.seen().at(-1)?.body).not.toHaveProperty('think');
    });

    it('sends a prompt without a template as raw, and leaves unset options to the server', async () => {
      const { standIn, backend } = await runningOllama();
      await generateAll(backend, textRequest('Once upon a time', { limits: { stop: [] } }));
      const { path, body } = standIn.seen().at(-1) ?? {};
      expect(path).toBe('/api/generate');
      expect(body).toMatchObject({ prompt: 'Once upon a time', raw: true, options: {} });
      expect(body?.options).toEqual({});
    });

    it('sends the form of the text as it comes, with a template and without', async () => {
      const { standIn, backend } = await runningOllama();
      const schema = { type: 'object', properties: { name: { type: 'string' } } };
      await generateAll(backend, chatRequest('hello', { output: { kind: 'json-schema', schema } }));
      expect(standIn.seen().at(-1)).toMatchObject({ path: '/api/chat', body: { format: schema } });
      await generateAll(backend, textRequest('hello', { output: { kind: 'json' } }));
      expect(standIn.seen().at(-1)).toMatchObject({ path: '/api/generate', body: { format: 'json' } });
    });

    it.each([
      ['grammar', { output: { kind: 'grammar', grammar: 'root ::= "a"' } }],
      ['logit_bias', { sampling: { logitBias: [{ token: 3, bias: 1 }] } }],
      ['min_tokens', { limits: { stop: [], minTokens: 1 } }],
      ['ignore_eos', { limits: { stop: [], ignoreEos: true } }],
      ['tool_choice', { tools: { tools: [{ name: 'clock' }], choice: 'required' } }],
      ['tool_choice', { tools: { tools: [{ name: 'clock' }], choice: { name: 'clock' } } }],
      ['parallel_tool_calls', { tools: { tools: [{ name: 'clock' }], choice: 'auto', single: true } }],
      ['guided_regex', { extras: { guided_regex: 'a+' } }],
    ] as const)('refuses %s by name before anything is sent', async (param, overrides) => {
      const { standIn, backend } = await runningOllama({ callsTools: true });
      const { error } = await generateAll(backend, chatRequest('hello', overrides));
      expect(error).toMatchObject({ code: 'unsupported_parameter', param });
      expect(standIn.seen()).toEqual([]);
    });

    it('sends no fields that this server does not know', async () => {
      const { standIn, backend } = await runningOllama();
      await generateAll(backend, chatRequest('hello', { extras: { vllm_xargs: { a: 1 } } }));
      expect(standIn.seen().at(-1)?.body).not.toHaveProperty('vllm_xargs');
    });
  });

  describe('mirostat', () => {
    const mirostat = { mode: 2, tau: 3, eta: 0.2 } as const;

    it.each(['0.5.1', '0.6.8'])('is passed on to release %s, which has it', async (toldVersion) => {
      const { standIn, backend } = await runningOllama({ toldVersion });
      await backend.probe({ signal: neverAborted() });
      await generateAll(backend, chatRequest('hello', { sampling: { mirostat } }));
      const options = { mirostat: 2, mirostat_tau: 3, mirostat_eta: 0.2 };
      expect(seenAt(standIn, '/api/chat')[0]?.body.options).toMatchObject(options);
    });

    it.each(['0.7.0', '0.17.4', '1.0.0', '', false] as const)(
      'is refused where release %j would silently ignore it, or might; switched off it is not sent',
      async (toldVersion) => {
        const { standIn, backend } = await runningOllama({ toldVersion });
        await backend.probe({ signal: neverAborted() });
        const { error } = await generateAll(backend, chatRequest('hello', { sampling: { mirostat } }));
        expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'mirostat' });
        const off = { mirostat: { mode: 0, tau: 3 } } as const;
        expect((await generateAll(backend, chatRequest('hello', { sampling: off }))).error).toBeUndefined();
        const [request, ...others] = seenAt(standIn, '/api/chat');
        expect(others).toEqual([]);
        for (const name of ['mirostat', 'mirostat_tau'])
          expect(request?.body.options).not.toHaveProperty(name);
      },
    );
  });

  describe('thinking', () => {
    it('is switched off for a model that can, when that is said', async () => {
      const { standIn, backend } = await runningOllama({ thinks: true });
      const { events } = await generateAll(backend, chatRequest('hello'));
      expect(standIn.seen().at(-1)?.body.think).toBe(false);
      expect(events.some(({ type }) => type === 'reasoning')).toBe(false);
    });

    it('comes apart from the text when it is wished', async () => {
      const { standIn, backend } = await runningOllama({ thinks: true });
      const { events } = await generateAll(backend, chatRequest('hello', { thinking: 'high' }));
      expect(standIn.seen().at(-1)?.body.think).toBe('high');
      expect(events).toContainEqual({ type: 'reasoning', text: 'Let me think.' });
      expect(textOf(events)).not.toContain('think');
    });

    it('cannot go with a raw prompt, nor can a prompt be empty: the server would only load the model', async () => {
      const { standIn, backend } = await runningOllama({ thinks: true });
      const { error } = await generateAll(backend, textRequest('hello', { thinking: true }));
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'think' });
      expect((await generateAll(backend, textRequest(''))).error).toMatchObject({
        code: 'invalid_request',
        param: 'prompt',
      });
      expect(standIn.counts().started).toBe(0);
    });

    it('is left to a model that can, when nothing is said', async () => {
      const { standIn, backend } = await runningOllama({ thinks: true });
      const { thinking: _, ...unsaid } = chatRequest('hello');
      const { events } = await generateAll(backend, unsaid);
      expect(standIn.seen().map(({ path }) => path)).toEqual(['/api/chat']);
      expect(standIn.seen().at(-1)?.body).not.toHaveProperty('think');
      expect(events).toContainEqual({ type: 'reasoning', text: 'Let me think.' });
    });

    it('is told again with the turns before', async () => {
      const { standIn, backend } = await runningOllama({ thinks: true });
      const messages = [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hi', reasoning: 'They greet me.' },
        { role: 'user', content: 'and now?' },
      ] as const;
      await generateAll(backend, chatRequest('', { input: { kind: 'chat', messages } }));
      expect(standIn.seen().at(-1)).toMatchObject({
        body: { messages: [{}, { role: 'assistant', content: 'hi', thinking: 'They greet me.' }, {}] },
      });
    });
  });

  describe('faults', () => {
    it.each(FAULT_OUTCOMES)('%s becomes %s', async (fault, code, afterText) => {
      const { standIn, backend } = await runningOllama();
      await generateAll(backend, chatRequest('warm'));
      await standIn.setFault(fault);
      if (fault === 'refuse') await backend.probe({ signal: neverAborted() });
      const { events, error } = await generateAll(backend, chatRequest('hello there'));
      expect(error).toMatchObject({ code });
      expect(textOf(events) !== '').toBe(afterText);
      expect(events.some(({ type }) => type === 'finish')).toBe(false);
    });

    it('passes the server’s Retry-After on', async () => {
      const { backend } = await runningOllama({ fault: 'busy' });
      expect((await generateAll(backend, chatRequest('hello'))).error).toMatchObject({
        retryAfterSeconds: 7,
      });
    });

    it.each<Fault>(['hang', 'hang-mid-stream'])(
      '%s ends with the caller’s abort, which the server sees',
      async (fault) => {
        const { standIn, backend } = await runningOllama({ fault });
        const leaving = new AbortController();
        const answer = generateAll(backend, chatRequest('hello there'), leaving.signal);
        await standIn.until(({ inFlight }) => inFlight === 1);
        leaving.abort();
        const { error } = await answer;
        expect(error).toMatchObject({ name: 'AbortError' });
        await standIn.until(({ aborted: seen, inFlight }) => seen === 1 && inFlight === 0);
      },
    );

    it('tells no words of the server’s own failures to the client', async () => {
      const { backend } = await runningOllama({ fault: 'error-500' });
      const { error } = await generateAll(backend, chatRequest('hello'));
      expect((error as Error).message).not.toContain('llama runner');
      expect(String(((error as Error).cause as Error).message)).toContain('llama runner');
    });

    it('names the command that fetches a missing model', async () => {
      const { backend } = await runningOllama({}, { model: 'llama3.2' });
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
      const { backend } = await runningOllama({}, { context_size: 32 });
      const { error } = await generateAll(backend, chatRequest('word '.repeat(40)));
      expect(error).toMatchObject({
        code: 'context_length_exceeded',
        message: expect.stringContaining('32'),
      });
    });

    it('tells both numbers where the server’s runner says them', async () => {
      const { backend } = await runningOllama({ release: '0.32.15' }, { context_size: 32 });
      for (const request of [chatRequest('word '.repeat(40)), textRequest('word '.repeat(40))]) {
        expect((await generateAll(backend, request)).error).toMatchObject({
          code: 'context_length_exceeded',
          message: 'The prompt has 40 tokens, but the model’s context holds 32. Shorten the prompt.',
        });
      }
    });

    it('ends with an error instead of a finish where an old release cut the prompt', async () => {
      const { backend } = await runningOllama({ release: '0.6.5' }, { context_size: 32 });
      const { events, error } = await generateAll(backend, chatRequest('word '.repeat(40)));
      expect(error).toMatchObject({ code: 'context_length_exceeded' });
      expect(events.some(({ type }) => type === 'finish')).toBe(false);
    });
  });

  describe('probe', () => {
    it('finds a loaded model ready, with the context that the server gave it', async () => {
      const { backend } = await runningOllama();
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
        state: 'ready',
        loaded: true,
        contextSize: 4096,
      });
    });

    it('finds an installed model unloaded, and whether the user lets it', async () => {
      const forGood = await runningOllama({ loaded: false });
      expect(await forGood.backend.probe({ signal: neverAborted() })).toMatchObject({
        state: 'unloaded',
        mayUnload: false,
      });
      const finite = await runningOllama({ loaded: false }, { keep_alive: '5m' });
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
      const { standIn, backend } = await runningOllama(
        { embedsOnly: true, loaded: false },
        { context_size: 512 },
      );
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

    it('passes on what the server knows of the model', async () => {
      const { backend } = await runningOllama({ release: '0.32.15' });
      expect((await backend.probe({ signal: neverAborted() })).details).toEqual({
        digest: 'fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794',
        sizeBytes: 98_362_745,
        format: 'gguf',
        family: 'llama',
        families: ['llama'],
        parameterSize: '134.52M',
        quantization: 'Q4_1',
        trainedContextSize: 8192,
        embeddingLength: 576,
      });
    });

    it('compares names as the server does', async () => {
      const { backend } = await runningOllama({}, { model: 'registry.ollama.ai/library/SmolLM2:latest' });
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
    });

    it('finds a model that is not installed', async () => {
      const { backend } = await runningOllama({}, { model: 'smollm2:135m' });
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
        state: 'not_found',
        loaded: false,
      });
    });

    it('finds a server that is gone unreachable', async () => {
      const { backend } = await runningOllama({ fault: 'refuse' });
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'unreachable' });
    });

    it('takes a server that fell silent for a loading one, and one that was never heard for unreachable', async () => {
      const { standIn, backend } = await runningOllama();
      await backend.probe({ signal: neverAborted() });
      await standIn.setFault('silent');
      expect(await backend.probe({ signal: aborted(30) })).toMatchObject({ state: 'loading' });
      const never = await runningOllama({ fault: 'silent' });
      expect(await never.backend.probe({ signal: aborted(30) })).toMatchObject({ state: 'unreachable' });
    });
  });
});

describe('requests that would make Ollama load a model anew', () => {
  /** Since 0.30 a runner belongs to what it was started with: nothing that we send may have the model loaded anew. */

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
});
