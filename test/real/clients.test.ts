/** Official clients through this server in front of a real Ollama, wherever an executable is found. */
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { modelPath } from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll } from '../support/server.ts';
import { findOllama, NO_OLLAMA, type RealOllama, startRealOllama } from './real-ollama.ts';

const MODEL = 'smollm2';
const DIMENSIONS = 576;
const QUESTION = 'What is the capital of France?';
const TEXTS = ['the cat', 'revenue grew'];
const MESSAGES = [{ role: 'user' as const, content: QUESTION }];
const ANSWER = z.object({ capital: z.enum(['Paris', 'Rome']), large: z.boolean() });
const LIMIT = 24;
/** The processor does the work, and other tests may use it too. */
const WITHIN = { timeout: 240_000 };
const executable = findOllama();

if (executable === undefined) {
  it('clients of a real Ollama', (context) => context.skip(NO_OLLAMA));
} else {
  describe('in front of a real Ollama', WITHIN, () => {
    const endsWith = endingAfterAll();
    let behind: RealOllama;
    let server: Executable;
    beforeAll(async () => {
      behind = await startRealOllama({ executable, modelPath: await modelPath(), parallel: 2 });
      const target = {
        backend: 'ollama',
        url: behind.url,
        model: behind.model,
        context_size: 256,
        keep_alive: -1,
      };
      const flags = ['--models', JSON.stringify([{ id: MODEL, targets: [target] }])];
      server = await startExecutable({ flags: [...flags, '--rate-limit.enabled', 'false'], endsWith });
      await whenReady(server);
    });
    afterAll(() => behind?.stop());

    describe('the ollama client', () => {
      const client = () => new Ollama({ host: server.url });
      const options = { temperature: 0, num_predict: LIMIT };
      const request = { model: MODEL, messages: MESSAGES, options };

      it('chats, and streams the same', async () => {
        const { message, done_reason, ...whole } = await client().chat(request);
        expect(message.content).toContain('Paris');
        expect(['stop', 'length']).toContain(done_reason);
        let text = '';
        let last: unknown;
        for await (const line of await client().chat({ ...request, stream: true })) {
          text += line.message.content;
          last = line;
        }
        expect(text).toBe(message.content);
        expect(last).toMatchObject({ done: true, done_reason, eval_count: whole.eval_count });
      });

      it('has an answer in the form of a schema', async () => {
        const { message } = await client().chat({ ...request, format: z.toJSONSchema(ANSWER) });
        expect(() => ANSWER.parse(JSON.parse(message.content))).not.toThrow();
      });

      it('embeds as it does without a server between', async () => {
        const { embeddings } = await client().embed({ model: MODEL, input: TEXTS });
        const direct = await new Ollama({ host: behind.url }).embed({ model: behind.model, input: TEXTS });
        expect(embeddings.map(({ length }) => length)).toEqual([DIMENSIONS, DIMENSIONS]);
        expect(cosine(embeddings[1], direct.embeddings[1])).toBeGreaterThan(0.999);
      });

      it.each(['smollm2', 'smollm2:latest'])('finds what Ollama finds under %s', async (model) => {
        for (const host of [server.url, behind.url]) {
          const ollama = new Ollama({ host });
          const { models } = await ollama.list();
          expect(models.map(({ name }) => name)).toContain('smollm2:latest');
          expect((await ollama.show({ model })).model_info).toMatchObject({
            'general.architecture': expect.any(String),
          });
        }
      });

      it.each([
        ['chat', (ollama: Ollama) => ollama.chat({ ...request, model: 'nope' }), 404],
        ['chat', (ollama: Ollama) => ollama.chat({ ...request, model: '' }), 400],
        ['generate', (ollama: Ollama) => ollama.generate({ model: 'nope', prompt: 'Hi' }), 404],
        ['generate', (ollama: Ollama) => ollama.generate({ model: '', prompt: 'Hi' }), 404],
        ['embed', (ollama: Ollama) => ollama.embed({ model: 'nope', input: 'Hi' }), 404],
        ['show', (ollama: Ollama) => ollama.show({ model: 'nope' }), 404],
        ['show', (ollama: Ollama) => ollama.show({ model: '' }), 400],
      ] as const)('is refused by %s with the status that Ollama has', async (_, ask, status) => {
        for (const host of [server.url, behind.url])
          await expect(ask(new Ollama({ host }))).rejects.toMatchObject({
            name: 'ResponseError',
            status_code: status,
            message: expect.stringMatching(status === 404 ? /not found/ : /model is required/),
          });
      });
    });

    describe('the openai client', () => {
      const client = () => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
      const request = { model: MODEL, messages: MESSAGES, temperature: 0, max_tokens: LIMIT };

      it('chats, and streams the same', async () => {
        const whole = await client().chat.completions.create(request);
        expect(whole.choices[0]?.message.content).toContain('Paris');
        let text = '';
        let usage: unknown;
        const stream_options = { include_usage: true };
        for await (const chunk of await client().chat.completions.create({
          ...request,
          stream: true,
          stream_options,
        })) {
          text += chunk.choices[0]?.delta.content ?? '';
          usage = chunk.usage;
        }
        expect(text).toBe(whole.choices[0]?.message.content);
        expect(usage).toMatchObject({ completion_tokens: whole.usage?.completion_tokens });
      });

      it('has an answer in the form of a schema', async () => {
        const { choices } = await client().chat.completions.parse({
          ...request,
          response_format: zodResponseFormat(ANSWER, 'answer'),
        });
        expect(ANSWER.parse(choices[0]?.message.parsed)).toBeDefined();
      });

      it('embeds', async () => {
        const { data } = await client().embeddings.create({ model: MODEL, input: TEXTS });
        expect(data.map(({ embedding }) => embedding.length)).toEqual([DIMENSIONS, DIMENSIONS]);
      });
    });

    describe('the Anthropic client', () => {
      const client = () => new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
      const request = { model: MODEL, messages: MESSAGES, temperature: 0, max_tokens: LIMIT };

      it('chats, and streams the same', async () => {
        const { content, usage } = await client().messages.create(request);
        expect(content).toMatchObject([{ type: 'text', text: expect.stringContaining('Paris') }]);
        const streamed = await client().messages.stream(request).finalMessage();
        expect(streamed).toMatchObject({ content, usage: { output_tokens: usage.output_tokens } });
      });

      it('has an answer in the form of a schema', async () => {
        const output_config = { format: zodOutputFormat(ANSWER) };
        const { parsed_output } = await client().messages.parse({ ...request, output_config });
        expect(ANSWER.parse(parsed_output)).toBeDefined();
      });
    });
  });
}

/** Of vectors of length 1. */
function cosine(one: readonly number[] = [], other: readonly number[] = []): number {
  return one.reduce((sum, value, place) => sum + value * (other[place] ?? 0), 0);
}
