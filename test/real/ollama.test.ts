/** The Ollama backend against a real Ollama, wherever an executable is found. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OllamaBackend } from '../../src/backends/ollama/ollama-backend.ts';
import type { GenerationRequest, RequestId } from '../../src/core/generation.ts';
import { foldEvents } from '../../src/core/generation-result.ts';
import { systemClock } from '../../src/system-clock.ts';
import { describeBackend, textAlone } from '../contract/backend-contract.ts';
import { modelPath } from '../support/embedded-engine.ts';
import { findOllama, type RealOllama, startRealOllama } from './real-ollama.ts';

const PARALLEL = 4;
const executable = findOllama();

if (executable === undefined) {
  it.skip('a real Ollama (skipped: no ollama executable on PATH, and LLM_TEST_OLLAMA does not name one)', () => {});
} else {
  describeBackend('ollama, a real one', {
    start: async () => {
      const server = await startRealOllama({ executable, modelPath: await modelPath(), parallel: PARALLEL });
      const backend = backendFor(server);
      await backend.warmUp({ signal: never() });
      return { backend, model: server.model, stop: server.stop };
    },
    skip: textAlone('is not passed on yet, or not by every release'),
    tooManyWords: 240,
    timeoutMs: 90_000,
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

    it('answers 16 requests at a time, each its own', async () => {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, index) => {
          const request = ask(`What is ${index} plus one?`, server.model);
          return foldEvents(backend.generate(request, { signal: never() }));
        }),
      );
      for (const { text, usage } of answers) {
        expect(text).not.toBe('');
        expect(usage.completionTokens).toBeLessThanOrEqual(8);
        expect(usage.promptTokens).toBeGreaterThan(5);
      }
    }, 120_000);

    it('refuses a model that is not there with the command that fetches it', async () => {
      const missing = new OllamaBackend(
        { ...target(server), model: 'nobody/has-this' },
        { clock: systemClock },
      );
      expect(await missing.probe({ signal: never() })).toMatchObject({ state: 'not_found' });
      const failure = foldEvents(missing.generate(ask('Hi', 'nobody/has-this'), { signal: never() }));
      await expect(failure).rejects.toMatchObject({
        code: 'model_not_found',
        message: expect.stringContaining('ollama pull'),
      });
      await missing.close();
    });

    it('refuses the wish to think for a model that cannot', async () => {
      const failure = foldEvents(
        backend.generate({ ...ask('Hi', server.model), thinking: true }, { signal: never() }),
      );
      await expect(failure).rejects.toMatchObject({ code: 'invalid_request', param: 'think' });
    });
  });
}

function never(): AbortSignal {
  return new AbortController().signal;
}

function target(server: RealOllama) {
  return {
    model: server.model,
    url: server.url,
    context_size: 160,
    keep_alive: -1,
    connect_timeout_ms: 2000,
  };
}

function backendFor(server: RealOllama): OllamaBackend {
  return new OllamaBackend(target(server), { clock: systemClock });
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
