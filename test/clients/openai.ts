/** The official client of OpenAI for Node. */
import OpenAI, {
  APIError,
  APIUserAbortError,
  BadRequestError,
  NotFoundError,
  OpenAIError,
  RateLimitError,
} from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { expect } from 'vitest';
import {
  City,
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
import { openAiResponses } from './openai-responses.ts';

const clientOf = ({ url }: Served) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });

const asks = (content: string) => [{ role: 'user' as const, content }];

export const openai: Client = {
  id: 'openai',
  features: {
    chat: async (served) => {
      const answer = await clientOf(served).chat.completions.create({
        model: served.model,
        messages: [{ role: 'system', content: 'Be brief.' }, ...asks(QUESTION)],
        temperature: 0,
      });
      expect(answer.choices[0]?.message.content).toContain('Paris');
      expect(answer.choices[0]?.finish_reason).toBe('stop');
      const { prompt_tokens, completion_tokens, total_tokens } = answer.usage!;
      expect(prompt_tokens).toBeGreaterThan(5);
      expect(total_tokens).toBe(prompt_tokens + completion_tokens);
      expect(answer._request_id).toMatch(/./);
    },

    stream: async (served) => {
      const chunks = await clientOf(served).chat.completions.create({
        model: served.model,
        messages: asks(LONG_QUESTION),
        max_tokens: 6,
        stream: true,
        stream_options: { include_usage: true },
      });
      const all = [];
      for await (const chunk of chunks) all.push(chunk);
      const pieces = all.map(({ choices }) => choices[0]?.delta.content ?? '').filter((text) => text !== '');
      expect(pieces.length).toBeGreaterThan(2);
      expect(all.some(({ choices }) => choices[0]?.finish_reason === 'length')).toBe(true);
      expect(all.at(-1)?.usage?.completion_tokens).toBe(6);
    },

    'stream-helper': async (served) => {
      const deltas: string[] = [];
      const stream = clientOf(served)
        .chat.completions.stream({
          model: served.model,
          messages: asks(QUESTION),
          temperature: 0,
          stream_options: { include_usage: true },
        })
        .on('content', (delta) => deltas.push(delta));
      const whole = await stream.finalChatCompletion();
      expect(deltas.length).toBeGreaterThan(2);
      expect(whole.choices[0]?.message.content).toBe(deltas.join(''));
      expect(whole.choices[0]?.finish_reason).toBe('stop');
      expect((await stream.totalUsage()).completion_tokens).toBeGreaterThan(2);
    },

    tools: async (served) => {
      const called: unknown[] = [];
      const offered = {
        model: served.model,
        tools: [
          zodFunction({
            name: TOOL_NAME,
            description: TOOL_DESCRIPTION,
            parameters: WeatherArguments,
            function: (values) => {
              called.push(values);
              return WEATHER;
            },
          }),
        ],
        max_tokens: 60,
        temperature: 0,
        ...(!served.callsByItself && {
          tool_choice: { type: 'function' as const, function: { name: TOOL_NAME } },
        }),
      };
      const { completions } = clientOf(served).chat;
      for (const stream of [false, true]) {
        const runner = stream
          ? completions.runTools({ ...offered, messages: asks(TOOL_QUESTION), stream })
          : completions.runTools({ ...offered, messages: asks(TOOL_QUESTION) });
        await runner.done();
        const { messages } = runner;
        expect(messages.slice(0, 3)).toMatchObject([
          { role: 'user' },
          { role: 'assistant', tool_calls: [{ function: { name: TOOL_NAME } }] },
          { role: 'tool', content: WEATHER },
        ]);
        // Where the call had to be forced, the client goes no further by itself.
        if (served.callsByItself) {
          expect(messages).toHaveLength(4);
        } else {
          const { tool_choice: _forced, ...rest } = offered;
          const answer = await completions.create({ ...rest, messages, max_tokens: 8 });
          messages.push(answer.choices[0]!.message);
        }
        expect(messages.at(-1)).toMatchObject({ role: 'assistant', content: expect.stringMatching(/\w/) });
      }
      expect(called).toEqual([{ city: expect.any(String) }, { city: expect.any(String) }]);
    },

    structured: async (served) => {
      const form = {
        model: served.model,
        messages: asks(QUESTION),
        response_format: zodResponseFormat(City, 'city'),
      };
      const { completions } = clientOf(served).chat;
      const parsed = await completions.parse(form);
      expect(City.parse(parsed.choices[0]?.message.parsed)).toBeDefined();
      const streamed = await completions.stream(form).finalChatCompletion();
      expect(City.parse(streamed.choices[0]?.message.parsed)).toBeDefined();
    },

    images: async (served) => {
      const content = [
        { type: 'text' as const, text: 'What is this?' },
        { type: 'image_url' as const, image_url: { url: PICTURE } },
      ];
      const answer = await clientOf(served).chat.completions.create({
        model: served.model,
        messages: [{ role: 'user', content }],
        max_tokens: 8,
      });
      expect(answer.choices[0]?.message.content).toMatch(/\w/);
    },

    thinking: async (served) => {
      const asked = {
        model: served.thinker!,
        messages: asks(QUESTION),
        reasoning_effort: 'low' as const,
      };
      const { completions } = clientOf(served).chat;
      const answer = await completions.create(asked);
      expect(answer.choices[0]?.message).toMatchObject({
        content: expect.stringContaining('Paris'),
        reasoning_content: 'Let me think.',
      });
      const streamed = await completions.stream(asked).finalChatCompletion();
      expect(streamed.choices[0]?.message.content).toContain('Paris');
    },

    logprobs: async (served) => {
      const answer = await clientOf(served).chat.completions.create({
        model: served.model,
        messages: asks(LONG_QUESTION),
        max_tokens: 3,
        logprobs: true,
        top_logprobs: 2,
      });
      const content = answer.choices[0]?.logprobs?.content ?? [];
      expect(content).toHaveLength(3);
      for (const { logprob, top_logprobs } of content) {
        expect(logprob).toBeLessThanOrEqual(0);
        expect(top_logprobs).toHaveLength(2);
      }
    },

    embeddings: async (served) => {
      const client = clientOf(served);
      const asked = { model: served.embedder, input: ['revenue grew', 'the cat sits'] };
      // Without an encoding the client asks for base64 and decodes it.
      const answer = await client.embeddings.create(asked);
      const floats = await client.embeddings.create({ ...asked, encoding_format: 'float' });
      expect(answer.data.map(({ index }) => index)).toEqual([0, 1]);
      for (const [place, { embedding }] of answer.data.entries()) {
        expect(embedding).toHaveLength(served.dimensions);
        for (const [at, value] of embedding.entries())
          expect(value).toBeCloseTo(floats.data[place]!.embedding[at]!, 6);
      }
      expect(answer.usage.prompt_tokens).toBeGreaterThan(3);
    },

    completions: async (served) => {
      const asked = { model: served.model, prompt: 'Once upon a time', max_tokens: 5 };
      const { completions } = clientOf(served);
      const answer = await completions.create(asked);
      expect(answer.choices[0]).toMatchObject({ text: expect.stringMatching(/\w/), finish_reason: 'length' });
      expect(answer.usage?.completion_tokens).toBe(5);
      let text = '';
      for await (const chunk of await completions.create({ ...asked, stream: true }))
        text += chunk.choices[0]?.text ?? '';
      expect(text).toMatch(/\w/);
    },

    responses: openAiResponses,

    'count-tokens': async (served) => {
      const client = clientOf(served);
      const asked = { model: served.model, input: QUESTION, instructions: 'Be brief.' };
      const counted = await client.responses.inputTokens.count(asked);
      const answer = await client.responses.create({ ...asked, max_output_tokens: 1, store: false });
      expect(counted.input_tokens).toBe(answer.usage?.input_tokens);
    },

    models: async (served) => {
      const client = clientOf(served);
      const ids: string[] = [];
      for await (const { id } of client.models.list()) ids.push(id);
      expect(ids).toContain(served.model);
      expect(await client.models.retrieve(served.model)).toMatchObject({ id: served.model, object: 'model' });
    },

    abort: (served) =>
      expectSlotFreed(served, async () => {
        const leaving = new AbortController();
        const stream = clientOf(served).chat.completions.stream(
          { model: served.model, messages: asks(LONG_QUESTION) },
          { signal: leaving.signal },
        );
        stream.on('content', () => leaving.abort());
        await expect(stream.done()).rejects.toThrow(APIUserAbortError);
      }),

    errors: async (served) => {
      const { completions } = clientOf(served).chat;
      const asked = { model: served.model, messages: asks('Hello'), max_tokens: 1 };
      const bad = completions.create({ ...asked, temperature: 'hot' as unknown as number });
      await expect(bad).rejects.toThrow(BadRequestError);
      await expect(bad).rejects.toMatchObject({
        status: 400,
        param: 'temperature',
        type: 'invalid_request_error',
      });
      const unknown = completions.create({ ...asked, model: 'nobody' });
      await expect(unknown).rejects.toThrow(NotFoundError);
      await expect(unknown).rejects.toMatchObject({ code: 'model_not_found' });
      const long = completions.create({ ...asked, messages: asks('word '.repeat(3000)) });
      await expect(long).rejects.toThrow(BadRequestError);
      await expect(long).rejects.toMatchObject({ code: 'context_length_exceeded' });
      const streamed = completions.stream({ ...asked, model: 'nobody' }).done();
      await expect(streamed).rejects.toThrow(NotFoundError);
      const limited = limitedClient(served, 0).client;
      const answers = await Promise.allSettled([1, 2].map(() => limited.chat.completions.create(asked)));
      const reasons = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
      expect(reasons).toEqual([expect.any(RateLimitError)]);
    },

    failure: (served) =>
      whileFailing(served, async () => {
        const { completions } = clientOf(served).chat;
        const asked = { model: served.model, messages: asks(LONG_QUESTION) };
        const deltas: string[] = [];
        const iterated = async () => {
          for await (const { choices } of await completions.create({ ...asked, stream: true }))
            deltas.push(choices[0]?.delta.content ?? '');
        };
        await expect(iterated()).rejects.toThrow(APIError);
        expect(deltas.join('')).toMatch(/\w/);
        await expect(completions.stream(asked).finalChatCompletion()).rejects.toThrow(OpenAIError);
      }),

    retry: async (served) => {
      // With the client's own number of retries.
      const limited = limitedClient(served);
      const asked = { model: served.model, messages: asks('Hello'), max_tokens: 1 };
      const { fetch, statuses } = watchedFetch();
      const client = new OpenAI({ baseURL: `${served.limitedUrl}/v1`, apiKey: 'unused', fetch });
      await Promise.all([
        ...[1, 2].map(() => limited.client.chat.completions.create(asked)),
        served.whileBusy('openai', async (model) => {
          await client.chat.completions.create({ ...asked, model });
        }),
      ]);
      expect(limited.statuses.toSorted()).toEqual([200, 200, 429]);
      expect(statuses).toEqual([503, 200]);
    },
  },
};

function limitedClient({ limitedUrl }: Served, maxRetries?: number) {
  const { fetch, statuses } = watchedFetch();
  const retries = maxRetries === undefined ? {} : { maxRetries };
  const client = new OpenAI({ baseURL: `${limitedUrl}/v1`, apiKey: 'unused', fetch, ...retries });
  return { client, statuses };
}
