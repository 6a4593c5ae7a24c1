/** The AI SDK with its provider for servers with the OpenAI API. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  embedMany,
  generateObject,
  generateText,
  Output,
  readUIMessageStream,
  stepCountIs,
  streamObject,
  streamText,
  tool,
  type UIMessage,
} from 'ai';
import { expect } from 'vitest';
import {
  City,
  collect,
  expectSlotFreed,
  LONG_QUESTION,
  PICTURE,
  QUESTION,
  TOOL_DESCRIPTION,
  TOOL_NAME,
  TOOL_QUESTION,
  WEATHER,
  WeatherArguments,
  watchedFetch,
  whileFailing,
} from './asked.ts';
import type { Client, Served } from './client-suite.ts';

const providerOf = (baseURL: string, fetch = globalThis.fetch) =>
  createOpenAICompatible({
    name: 'served',
    baseURL: `${baseURL}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch,
  });

const chatOf = (served: Served, model = served.model) => ({
  model: providerOf(served.url)(model),
  temperature: 0,
  maxRetries: 0,
});

export const aiSdk: Client = {
  id: 'ai-sdk',
  features: {
    chat: async (served) => {
      const answer = await generateText({ ...chatOf(served), system: 'Be brief.', prompt: QUESTION });
      expect(answer.text).toContain('Paris');
      expect(answer.finishReason).toBe('stop');
      const { inputTokens, outputTokens, totalTokens } = answer.usage;
      expect(inputTokens).toBeGreaterThan(5);
      expect(totalTokens).toBe(inputTokens! + outputTokens!);
    },

    stream: async (served) => {
      const answer = streamText({ ...chatOf(served), prompt: LONG_QUESTION, maxOutputTokens: 6 });
      const pieces = await collect(answer.textStream);
      expect(pieces.length).toBeGreaterThan(2);
      expect(await answer.finishReason).toBe('length');
      expect((await answer.usage).outputTokens).toBe(6);
    },

    'stream-helper': async (served) => {
      const answer = streamText({ ...chatOf(served), prompt: QUESTION });
      const states: UIMessage[] = await collect(readUIMessageStream({ stream: answer.toUIMessageStream() }));
      expect(states.length).toBeGreaterThan(2);
      expect(states.at(-1)?.parts).toContainEqual({
        type: 'text',
        state: 'done',
        text: expect.stringContaining('Paris'),
      });
    },

    tools: async (served) => {
      const asked = {
        ...chatOf(served),
        prompt: TOOL_QUESTION,
        maxOutputTokens: 24,
        tools: {
          [TOOL_NAME]: tool({
            description: TOOL_DESCRIPTION,
            inputSchema: WeatherArguments,
            execute: () => WEATHER,
          }),
        },
        stopWhen: stepCountIs(2),
        // A call that had to be forced is followed by an answer without one.
        prepareStep: ({ stepNumber }: { stepNumber: number }) =>
          served.callsByItself || stepNumber > 0 ? {} : { toolChoice: 'required' as const },
      };
      const whole = await generateText(asked);
      const streamed = streamText(asked);
      await streamed.consumeStream();
      for (const steps of [whole.steps, await streamed.steps]) {
        expect(steps).toHaveLength(2);
        expect(steps[0]?.finishReason).toBe('tool-calls');
        expect(steps[0]?.toolCalls).toMatchObject([{ toolName: TOOL_NAME }]);
        expect(steps[0]?.toolResults).toMatchObject([{ output: WEATHER }]);
        expect(steps[1]?.text).toMatch(/\w/);
      }
    },

    structured: async (served) => {
      const asked = { ...chatOf(served), prompt: QUESTION };
      const { object } = await generateObject({ ...asked, schema: City });
      expect(City.parse(object)).toBeDefined();
      const { output } = await generateText({ ...asked, output: Output.object({ schema: City }) });
      expect(City.parse(output)).toBeDefined();
      const partial = streamObject({ ...asked, schema: City });
      expect(City.parse((await collect(partial.partialObjectStream)).at(-1))).toBeDefined();
    },

    images: async (served) => {
      const content = [
        { type: 'text' as const, text: 'What is this?' },
        { type: 'image' as const, image: PICTURE },
      ];
      const answer = await generateText({
        ...chatOf(served),
        messages: [{ role: 'user', content }],
        maxOutputTokens: 8,
      });
      expect(answer.text).toMatch(/\w/);
    },

    thinking: async (served) => {
      const asked = {
        ...chatOf(served, served.thinker),
        prompt: QUESTION,
        providerOptions: { served: { reasoningEffort: 'low' } },
      };
      const whole = await generateText(asked);
      expect([whole.reasoningText, whole.text]).toEqual(['Let me think.', expect.stringContaining('Paris')]);
      const streamed = streamText(asked);
      expect(await streamed.reasoningText).toBe('Let me think.');
    },

    embeddings: async (served) => {
      const { embeddings, usage } = await embedMany({
        model: providerOf(served.url).embeddingModel(served.embedder),
        values: ['revenue grew', 'the cat sits'],
        maxRetries: 0,
      });
      expect(embeddings.map(({ length }) => length)).toEqual([served.dimensions, served.dimensions]);
      expect(usage.tokens).toBeGreaterThan(3);
    },

    completions: async (served) => {
      const asked = {
        model: providerOf(served.url).completionModel(served.model),
        prompt: 'Once upon a time',
        maxOutputTokens: 5,
        maxRetries: 0,
      };
      const answer = await generateText(asked);
      expect(answer).toMatchObject({ text: expect.stringMatching(/\w/), finishReason: 'length' });
      const streamed = streamText(asked);
      expect(await streamed.text).toMatch(/\w/);
      expect((await streamed.usage).outputTokens).toBe(5);
    },

    abort: (served) =>
      expectSlotFreed(served, async () => {
        const leaving = new AbortController();
        const answer = streamText({
          ...chatOf(served),
          prompt: LONG_QUESTION,
          abortSignal: leaving.signal,
        });
        const parts: string[] = [];
        for await (const { type } of answer.fullStream) {
          parts.push(type);
          if (type === 'text-delta') leaving.abort();
        }
        expect(parts.at(-1)).toBe('abort');
      }),

    errors: async (served) => {
      const unknown = generateText({ ...chatOf(served, 'nobody'), prompt: 'Hello' });
      await expect(unknown).rejects.toSatisfy(APICallError.isInstance);
      await expect(unknown).rejects.toMatchObject({
        statusCode: 404,
        isRetryable: false,
        message: expect.stringContaining('nobody'),
        data: { error: { code: 'model_not_found' } },
      });
      const long = generateText({ ...chatOf(served), prompt: 'word '.repeat(3000) });
      await expect(long).rejects.toMatchObject({ data: { error: { code: 'context_length_exceeded' } } });
      const limited = { ...limitedChat(served), maxRetries: 0 };
      const both = Promise.all([generateText(limited), generateText(limited)]);
      await expect(both).rejects.toMatchObject({ statusCode: 429, isRetryable: true });
    },

    failure: (served) =>
      whileFailing(served, async () => {
        const failures: unknown[] = [];
        const answer = streamText({
          ...chatOf(served),
          prompt: LONG_QUESTION,
          onError: ({ error }) => void failures.push(error),
        });
        const parts = await collect(answer.fullStream);
        expect(failures).toHaveLength(1);
        expect(parts.some(({ type }) => type === 'text-delta')).toBe(true);
        expect(parts.some(({ type }) => type === 'error')).toBe(true);
        expect(parts.findLast((part) => part.type === 'finish')?.finishReason ?? 'error').toBe('error');
      }),

    retry: async (served) => {
      const { statuses: limited, ...asked } = limitedChat(served);
      const { fetch, statuses } = watchedFetch();
      await Promise.all([
        ...[1, 2].map(() => generateText(asked)),
        served.whileBusy('ai-sdk', async (model) => {
          await generateText({ ...asked, model: providerOf(served.limitedUrl, fetch)(model) });
        }),
      ]);
      expect(limited.toSorted()).toEqual([200, 200, 429]);
      expect(statuses).toEqual([503, 200]);
    },
  },
};

function limitedChat(served: Served) {
  const { fetch, statuses } = watchedFetch();
  const model = providerOf(served.limitedUrl, fetch)(served.model);
  return { model, prompt: 'Hello', maxOutputTokens: 1, statuses };
}
