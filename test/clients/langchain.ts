/** LangChain for OpenAI. */
import {
  type AIMessage,
  type AIMessageChunk,
  HumanMessage,
  SystemMessage,
  type ToolMessage,
  type UsageMetadata,
} from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, type ChatOpenAIFields, OpenAI, OpenAIEmbeddings } from '@langchain/openai';
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

function chatOf(served: Served, fields: ChatOpenAIFields = {}): ChatOpenAI {
  return new ChatOpenAI({
    model: served.model,
    apiKey: 'unused',
    configuration: { baseURL: `${served.url}/v1` },
    temperature: 0,
    maxRetries: 0,
    ...fields,
  });
}

const outputTokensOf = ({ usage_metadata }: AIMessage | AIMessageChunk): number =>
  (usage_metadata as UsageMetadata | undefined)?.output_tokens ?? 0;

const weather = tool(() => WEATHER, {
  name: TOOL_NAME,
  description: TOOL_DESCRIPTION,
  schema: WeatherArguments,
});

export const langchain: Client = {
  id: 'langchain',
  features: {
    chat: async (served) => {
      const answer = await chatOf(served).invoke([
        new SystemMessage('Be brief.'),
        new HumanMessage(QUESTION),
      ]);
      expect(answer.text).toContain('Paris');
      expect(answer.response_metadata.finish_reason).toBe('stop');
      const { input_tokens, output_tokens, total_tokens } = answer.usage_metadata!;
      expect(input_tokens).toBeGreaterThan(5);
      expect(total_tokens).toBe(input_tokens + output_tokens);
    },

    stream: async (served) => {
      const pieces: string[] = [];
      let outputTokens = 0;
      for await (const chunk of await chatOf(served, { maxTokens: 6 }).stream(LONG_QUESTION)) {
        if (chunk.text !== '') pieces.push(chunk.text);
        outputTokens += outputTokensOf(chunk);
      }
      expect(pieces.length).toBeGreaterThan(2);
      expect(outputTokens).toBe(6);
    },

    'stream-helper': async (served) => {
      const pieces: string[] = [];
      let whole = '';
      for await (const event of chatOf(served).streamEvents(QUESTION, { version: 'v2' })) {
        if (event.event === 'on_chat_model_stream') pieces.push(event.data.chunk.text);
        if (event.event === 'on_chat_model_end') whole = event.data.output.text;
      }
      expect(pieces.length).toBeGreaterThan(2);
      expect(whole).toBe(pieces.join(''));
      expect(whole).toContain('Paris');
    },

    tools: async (served) => {
      const chat = chatOf(served, { maxTokens: 24 });
      const asking = chat.bindTools([weather], served.callsByItself ? {} : { tool_choice: TOOL_NAME });
      const question = new HumanMessage(TOOL_QUESTION);
      const called = await asking.invoke([question]);
      expect(called.tool_calls).toMatchObject([{ name: TOOL_NAME, args: { city: expect.any(String) } }]);
      const result: ToolMessage = await weather.invoke({ ...called.tool_calls![0]!, type: 'tool_call' });
      const answer = await chat.bindTools([weather]).invoke([question, called, result]);
      expect(answer.text).toMatch(/\w/);
      const [first, ...rest] = await collect(await asking.stream([question]));
      const streamed = rest.reduce((sum, chunk) => sum.concat(chunk), first!);
      expect(streamed.tool_calls).toMatchObject([{ name: TOOL_NAME, args: { city: expect.any(String) } }]);
    },

    structured: async (served) => {
      const formed = chatOf(served).withStructuredOutput(City, { method: 'jsonSchema' });
      expect(City.parse(await formed.invoke(QUESTION))).toBeDefined();
    },

    images: async (served) => {
      const content = [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: PICTURE } },
      ];
      const answer = await chatOf(served, { maxTokens: 8 }).invoke([new HumanMessage({ content })]);
      expect(answer.text).toMatch(/\w/);
    },

    thinking: async (served) => {
      const chat = chatOf(served, { model: served.thinker!, modelKwargs: { reasoning_effort: 'low' } });
      const answer = await chat.invoke(QUESTION);
      expect(answer.text).toContain('Paris');
      expect(answer.additional_kwargs.reasoning_content).toBe('Let me think.');
    },

    logprobs: async (served) => {
      const chat = chatOf(served, { maxTokens: 3, logprobs: true, topLogprobs: 2 });
      const { response_metadata } = await chat.invoke(LONG_QUESTION);
      expect((response_metadata as { logprobs: { content: unknown[] } }).logprobs.content).toHaveLength(3);
    },

    embeddings: async (served) => {
      const embeddings = new OpenAIEmbeddings({
        model: served.embedder,
        apiKey: 'unused',
        configuration: { baseURL: `${served.url}/v1` },
        maxRetries: 0,
      });
      const vectors = await embeddings.embedDocuments(['revenue grew', 'the cat sits']);
      expect(vectors.map(({ length }) => length)).toEqual([served.dimensions, served.dimensions]);
      const one = await embeddings.embedQuery('revenue grew');
      for (const [at, value] of one.entries()) expect(value).toBeCloseTo(vectors[0]![at]!, 6);
    },

    completions: async (served) => {
      const completions = new OpenAI({
        model: served.model,
        apiKey: 'unused',
        configuration: { baseURL: `${served.url}/v1` },
        maxTokens: 5,
        maxRetries: 0,
      });
      expect(await completions.invoke('Once upon a time')).toMatch(/\w/);
      const pieces = await collect(await completions.stream('Once upon a time'));
      expect(pieces.join('')).toMatch(/\w/);
    },

    responses: async (served) => {
      const chat = chatOf(served, { useResponsesApi: true, zdrEnabled: true });
      const answer = await chat.invoke(QUESTION);
      expect(answer.text).toContain('Paris');
      expect(outputTokensOf(answer)).toBeGreaterThan(2);
      const [first, ...rest] = await collect(await chat.stream(QUESTION));
      expect(rest.length).toBeGreaterThan(2);
      expect(rest.reduce((sum, chunk) => sum.concat(chunk), first!).text).toContain('Paris');
      // With this API the client sends no tool_choice that is a mere word.
      const choice = served.callsByItself ? {} : { tool_choice: TOOL_NAME };
      const short = chatOf(served, { useResponsesApi: true, zdrEnabled: true, maxTokens: 40 });
      const called = await short.bindTools([weather], choice).invoke(TOOL_QUESTION);
      expect(called.tool_calls).toMatchObject([{ name: TOOL_NAME }]);
      const result: ToolMessage = await weather.invoke({ ...called.tool_calls![0]!, type: 'tool_call' });
      const after = await short
        .bindTools([weather])
        .invoke([new HumanMessage(TOOL_QUESTION), called, result]);
      expect(after.text).toMatch(/\w/);
    },

    abort: (served) =>
      expectSlotFreed(served, async () => {
        const leaving = new AbortController();
        const iterated = async () => {
          const chunks = await chatOf(served).stream(LONG_QUESTION, { signal: leaving.signal });
          for await (const { text } of chunks) if (text !== '') leaving.abort();
        };
        await expect(iterated()).rejects.toThrow(/abort/i);
      }),

    errors: async (served) => {
      const bad = chatOf(served, { modelKwargs: { temperature: 'hot' } }).invoke('Hello');
      await expect(bad).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' });
      await expect(chatOf(served, { model: 'nobody' }).invoke('Hello')).rejects.toMatchObject({
        status: 404,
        lc_error_code: 'MODEL_NOT_FOUND',
      });
      const long = chatOf(served).invoke('word '.repeat(3000));
      await expect(long).rejects.toMatchObject({ name: 'ContextOverflowError' });
      const limited = limitedChat(served, { maxRetries: 0 });
      const both = Promise.all([limited.chat.invoke('Hello'), limited.chat.invoke('Hello')]);
      await expect(both).rejects.toMatchObject({ status: 429, lc_error_code: 'MODEL_RATE_LIMIT' });
    },

    failure: (served) =>
      whileFailing(served, async () => {
        const pieces: string[] = [];
        const iterated = async () => {
          for await (const { text } of await chatOf(served).stream(LONG_QUESTION)) pieces.push(text);
        };
        await expect(iterated()).rejects.toThrow();
        expect(pieces.join('')).toMatch(/\w/);
      }),

    retry: async (served) => {
      const limited = limitedChat(served, { maxRetries: 4 });
      const { fetch, statuses } = watchedFetch();
      await Promise.all([
        ...[1, 2].map(() => limited.chat.invoke('Hello')),
        served.whileBusy('langchain', async (model) => {
          const configuration = { baseURL: `${served.limitedUrl}/v1`, fetch };
          await chatOf(served, { model, configuration, maxRetries: 4 }).invoke('Hello');
        }),
      ]);
      // It waits as long as it thinks right itself.
      expect(limited.statuses).toContain(429);
      expect(limited.statuses.filter((status) => status === 200)).toHaveLength(2);
      expect([statuses[0], statuses.at(-1)]).toEqual([503, 200]);
    },
  },
};

function limitedChat(served: Served, fields: ChatOpenAIFields) {
  const { fetch, statuses } = watchedFetch();
  const configuration = { baseURL: `${served.limitedUrl}/v1`, fetch };
  return { chat: chatOf(served, { configuration, maxTokens: 1, ...fields }), statuses };
}
