/** The Ollama backend against a real Ollama, wherever an executable is found. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OllamaBackend } from '../../src/backends/ollama/backend.ts';
import { ServingError } from '../../src/core/errors.ts';
import type { GenerationRequest, Message, RequestId, ToolUse } from '../../src/core/generation.ts';
import { systemClock } from '../../src/system-clock.ts';
import { describeBackend, EMBEDDING, skipAll } from '../contract/backend-contract.ts';
import { modelPath } from '../support/embedded-engine.ts';
import { foldEvents, pulled } from '../support/pulled-generation.ts';
import { embedsWithAny, findOllama, NO_OLLAMA, type RealOllama, startRealOllama } from './real-ollama.ts';

const PARALLEL = 4;
const TOOLS: ToolUse = {
  tools: [
    {
      name: 'get_weather',
      description: 'The weather of a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  ],
  choice: 'auto',
};
const executable = findOllama();

if (executable === undefined) {
  it('a real Ollama', (context) => context.skip(NO_OLLAMA));
} else {
  describeBackend('ollama, a real one', {
    start: async () => {
      const server = await startRealOllama({ executable, modelPath: await modelPath(), parallel: PARALLEL });
      const backend = backendFor(server);
      await backend.warmUp({ signal: never() });
      return { backend, model: server.model, stop: server.stop };
    },
    skip: {
      ...skipAll(['grammar', 'logit-bias'], 'Ollama has none'),
      json: 'without a schema this small model says spaces until the server gives up, without a last line',
      tools: 'Ollama cannot be told that a call is required',
      logprobs: 'not of every release',
      ...(!embedsWithAny(executable) && skipAll(EMBEDDING, 'a model that generates embeds no more')),
    },
    tooManyWords: 240,
  });

  describe('a real Ollama', () => {
    let server: RealOllama;
    let backend: OllamaBackend;
    beforeAll(async () => {
      server = await startRealOllama({ executable, modelPath: await modelPath(), parallel: PARALLEL });
      backend = backendFor(server);
    });
    afterAll(async () => {
      await backend?.close();
      await server?.stop();
    });

    it('is found unloaded, is warmed up, and is ready then', async () => {
      expect(await backend.probe({ signal: never() })).toMatchObject({
        state: 'unloaded',
        loaded: false,
      });
      await backend.warmUp({ signal: never() });
      expect(await backend.probe({ signal: never() })).toMatchObject({ state: 'ready', loaded: true });
    });

    it('loads a model once, whoever asks for it, and is ready all the while', async () => {
      const before = server.loads();
      const { context_size: _, ...unsized } = target(server);
      const unpinned = new OllamaBackend(unsized, { clock: systemClock });
      await unpinned.probe({ signal: never() });
      await unpinned.warmUp({ signal: never() });
      const states: string[] = [];
      for (let turn = 0; turn < 8; turn += 1) {
        await foldEvents(pulled(unpinned, ask('Hi', server.model), { signal: never() }));
        states.push((await unpinned.probe({ signal: never() })).state);
        const body = JSON.stringify({ model: server.model, prompt: 'Hi', options: { num_predict: 1 } });
        await (await fetch(`${server.url}/api/generate`, { method: 'POST', body })).text();
      }
      expect(new Set(states)).toEqual(new Set(['ready']));
      expect(server.loads() - before).toBeLessThanOrEqual(1);
      await unpinned.close();
    });

    it('is ready under a second name of weights that are loaded, and loads nothing for it', async () => {
      const shared = (model: string) =>
        new OllamaBackend({ ...target(server, model), context_size: 160 }, { clock: systemClock });
      const [first, second] = [shared(server.model), shared(server.toolModel)];
      await first.probe({ signal: never() });
      await first.warmUp({ signal: never() });
      const before = server.loads();
      await second.probe({ signal: never() });
      await second.warmUp({ signal: never() });
      for (let probe = 0; probe < 3; probe += 1)
        expect(await second.probe({ signal: never() })).toMatchObject({ state: 'ready', loaded: true });
      expect(server.loads()).toBe(before);
      await Promise.all([first.close(), second.close()]);
    });

    it('answers 16 requests at a time, each its own', async () => {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, index) => {
          const request = ask(`What is ${index} plus one?`, server.model);
          return foldEvents(pulled(backend, request, { signal: never() }));
        }),
      );
      for (const { text, usage } of answers) {
        expect(text).not.toBe('');
        expect(usage.completionTokens).toBeLessThanOrEqual(8);
        expect(usage.promptTokens).toBeGreaterThan(5);
      }
    });

    it('refuses a model that is not there with the command that fetches it', async () => {
      const missing = new OllamaBackend(
        { ...target(server), model: 'nobody/has-this' },
        { clock: systemClock },
      );
      expect(await missing.probe({ signal: never() })).toMatchObject({ state: 'not_found' });
      const failure = foldEvents(pulled(missing, ask('Hi', 'nobody/has-this'), { signal: never() }));
      await expect(failure).rejects.toMatchObject({
        code: 'model_not_found',
        message: expect.stringContaining('ollama pull'),
      });
      await missing.close();
    });

    it('tells what each model can do', async () => {
      await expect(backend.probe({ signal: never() })).resolves.toMatchObject({ abilities: ['generate'] });
      const tools = backendFor(server, server.toolModel);
      await expect(tools.probe({ signal: never() })).resolves.toMatchObject({
        abilities: ['generate', 'tools'],
      });
      await tools.close();
    });

    it('calls a tool as it did in earlier turns', async () => {
      const tools = backendFor(server, server.toolModel);
      const request = { ...ask('', server.toolModel), limits: { maxTokens: 40, stop: [] }, tools: TOOLS };
      const messages = [...weatherOf('Rome', 0), ...weatherOf('Oslo', 1), question('Paris')];
      const answer = pulled(tools, { ...request, input: { kind: 'chat', messages } }, { signal: never() });
      expect(await foldEvents(answer)).toMatchObject({
        finishReason: 'tool_calls',
        text: '',
        toolCalls: [{ name: 'get_weather', arguments: '{"city":"Paris"}' }],
      });
      await tools.close();
    });

    it.each([
      ['tools', { tools: TOOLS }],
      ['messages[0].images', { input: { kind: 'chat', messages: [withImage('Hi')] } }],
    ] as const)('refuses what the model cannot take: %s', async (param, overrides) => {
      const failure = foldEvents(
        pulled(backend, { ...ask('Hi', server.model), ...overrides }, { signal: never() }),
      );
      await expect(failure).rejects.toMatchObject({ code: 'unsupported_parameter', param });
    });

    it('tells log-probabilities, or refuses them by name', async () => {
      const request = { ...ask('Hi', server.model), logprobs: { top: 2 } };
      const answer = await foldEvents(pulled(backend, request, { signal: never() })).catch(
        (error: unknown) => error,
      );
      if (answer instanceof ServingError)
        expect(answer).toMatchObject({ code: 'unsupported_parameter', param: 'logprobs' });
      else
        expect(answer).toMatchObject({
          logprobs: expect.arrayContaining([expect.objectContaining({ top: [{}, {}] })]),
        });
    });

    it.runIf(embedsWithAny(executable))(
      'embeds, in as many numbers as are asked for or refuses that by name',
      async () => {
        const inputs = ['the cat', 'revenue grew'];
        const whole = await backend.embed({ model: server.model, inputs }, { signal: never() });
        expect(whole.vectors.map(({ length }) => length)).toEqual([576, 576]);
        const size = await backend
          .embed({ model: server.model, inputs, dimensions: 64 }, { signal: never() })
          .then(
            ({ vectors }) => vectors[0]?.length,
            ({ param }) => param,
          );
        expect([64, 'dimensions']).toContain(size);
      },
    );

    it('refuses the wish to think for a model that cannot', async () => {
      const failure = foldEvents(
        pulled(backend, { ...ask('Hi', server.model), thinking: true }, { signal: never() }),
      );
      await expect(failure).rejects.toMatchObject({ code: 'unsupported_parameter', param: 'think' });
    });
  });
}

function never(): AbortSignal {
  return new AbortController().signal;
}

function question(city: string): Message {
  return { role: 'user', content: `Weather in ${city}?` };
}

function weatherOf(city: string, index: number): readonly Message[] {
  const call = { id: `call_${index}`, name: 'get_weather', arguments: JSON.stringify({ city }) };
  return [
    question(city),
    { role: 'assistant', content: '', toolCalls: [call] },
    { role: 'tool', content: '18 degrees', toolCallId: call.id },
    { role: 'assistant', content: '18 degrees.' },
  ];
}

function withImage(content: string): Message {
  return { role: 'user', content, images: [{ mediaType: 'image/png', base64: 'iVBORw0KGgo=', at: 0 }] };
}

function target(server: RealOllama, model = server.model) {
  return {
    model,
    url: server.url,
    context_size: model === server.toolModel ? 320 : 160,
    keep_alive: -1,
    connect_timeout_ms: 2000,
  };
}

function backendFor(server: RealOllama, model?: string): OllamaBackend {
  return new OllamaBackend(target(server, model), { clock: systemClock });
}

function ask(prompt: string, model: string): GenerationRequest {
  return {
    id: 'gen_real' as RequestId,
    model,
    input: { kind: 'chat', messages: [{ role: 'user', content: prompt }] },
    sampling: { temperature: 0 },
    limits: { maxTokens: 8, stop: [] },
    thinking: false,
  };
}
