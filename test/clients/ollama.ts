/** The official Ollama client: what it does by itself, with its own types and its one error class. */
import { Ollama, type Tool } from 'ollama';
import { expect } from 'vitest';
import { z } from 'zod';
import { expectSlotFreed, LONG_QUESTION } from './asked.ts';
import type { Client, Served } from './client-suite.ts';

const QUESTION = 'What is the capital of France?';
const STORY = 'Write a long story about the sea.';
const WEATHER_QUESTION = 'Please call get_weather for the weather in Paris.';
/** One black pixel. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const WEATHER: Tool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
      required: ['city'],
    },
  },
};
const ANSWER = z.object({ capital: z.enum(['Paris', 'Rome']), large: z.boolean() });

function client({ url }: Pick<Served, 'url'>): Ollama {
  return new Ollama({ host: url });
}

function asking(served: Served, content = QUESTION) {
  return {
    model: served.model,
    messages: [{ role: 'user', content }],
    options: { temperature: 0, num_predict: 48 },
  };
}

/** Its error class is not exported: it is known by its name. */
function refusal(status: number, said: RegExp) {
  return expect.objectContaining({
    name: 'ResponseError',
    status_code: status,
    message: expect.stringMatching(said),
  });
}

async function chat(served: Served): Promise<void> {
  const answer = await client(served).chat(asking(served));
  expect(answer).toMatchObject({ model: served.model, done: true, done_reason: 'stop' });
  expect(Date.parse(String(answer.created_at))).toBeGreaterThan(0);
  expect(answer.message.role).toBe('assistant');
  expect(answer.message.content).toContain('Paris');
  expect(answer.prompt_eval_count).toBeGreaterThan(5);
  expect(answer.eval_count).toBeGreaterThan(1);
  expect(answer.total_duration).toBeGreaterThan(0);
  const cut = await client(served).chat({ ...asking(served), options: { num_predict: 2 } });
  expect(cut).toMatchObject({ done_reason: 'length', eval_count: 2 });
  const generated = await client(served).generate({
    ...{ model: served.model, prompt: QUESTION, system: 'Be brief.' },
    options: { temperature: 0, num_predict: 48 },
  });
  expect(generated.response).toContain('Paris');
}

async function stream(served: Served): Promise<void> {
  const whole = await client(served).chat(asking(served));
  const lines = [];
  for await (const line of await client(served).chat({ ...asking(served), stream: true })) lines.push(line);
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.map(({ message }) => message.content).join('')).toBe(whole.message.content);
  expect(lines.slice(0, -1).every(({ done }) => !done)).toBe(true);
  const { done, done_reason, prompt_eval_count, eval_count } = whole;
  expect(lines.at(-1)).toMatchObject({ done, done_reason, prompt_eval_count, eval_count });
  let text = '';
  const generate = { model: served.model, prompt: QUESTION, options: { temperature: 0, num_predict: 48 } };
  for await (const line of await client(served).generate({ ...generate, stream: true }))
    text += line.response;
  expect(text).toContain('Paris');
}

async function tools(served: Served): Promise<void> {
  const request = { ...asking(served, WEATHER_QUESTION), tools: [WEATHER] };
  const { message } = await client(served).chat(request);
  const [call] = message.tool_calls ?? [];
  expect(call?.function).toMatchObject({ name: 'get_weather', arguments: { city: 'Paris' } });
  const calls = [];
  for await (const line of await client(served).chat({ ...request, stream: true }))
    calls.push(...(line.message.tool_calls ?? []));
  expect(calls.map((each) => each.function)).toMatchObject([
    { name: 'get_weather', arguments: { city: 'Paris' } },
  ]);
  const result = { role: 'tool', content: '18 degrees and sunny.', tool_name: 'get_weather' };
  const answer = await client(served).chat({ ...request, messages: [...request.messages, message, result] });
  expect(answer.message.tool_calls).toBeUndefined();
  expect(answer.message.content).not.toBe('');
}

async function structured(served: Served): Promise<void> {
  const format = z.toJSONSchema(ANSWER);
  const { message } = await client(served).chat({ ...asking(served), format });
  expect(() => ANSWER.parse(JSON.parse(message.content))).not.toThrow();
  const prompt = { model: served.model, prompt: QUESTION, options: { temperature: 0, num_predict: 48 } };
  const { response } = await client(served).generate({ ...prompt, format });
  expect(() => ANSWER.parse(JSON.parse(response ?? ''))).not.toThrow();
}

async function images(served: Served): Promise<void> {
  const request = asking(served);
  const messages = [{ role: 'user', content: QUESTION, images: [PICTURE] }];
  expect((await client(served).chat({ ...request, messages })).message.content).not.toBe('');
  const generated = await client(served).generate({
    ...{ model: served.model, prompt: QUESTION, images: [PICTURE] },
  });
  expect(generated.response).not.toBe('');
}

async function thinking(served: Served): Promise<void> {
  const request = { ...asking(served), model: served.thinker ?? 'none', think: true };
  const { message } = await client(served).chat(request);
  expect(message.thinking).toBeTruthy();
  expect(message.content).not.toContain(String(message.thinking));
  let thoughts = '';
  for await (const line of await client(served).chat({ ...request, stream: true }))
    thoughts += line.message.thinking ?? '';
  expect(thoughts).toBe(message.thinking);
  const quiet = await client(served).chat({ ...request, think: false });
  expect(quiet.message.content).not.toBe('');
}

async function logprobs(served: Served): Promise<void> {
  const request = { ...asking(served), logprobs: true, top_logprobs: 2 };
  const whole = await client(served).chat(request);
  expect(whole.logprobs?.map(({ token }) => token).join('')).toContain('Paris');
  expect(
    whole.logprobs?.every(({ logprob, top_logprobs }) => logprob <= 0 && top_logprobs?.length === 2),
  ).toBe(true);
  const streamed = [];
  for await (const line of await client(served).chat({ ...request, stream: true }))
    streamed.push(...(line.logprobs ?? []));
  expect(streamed.map(({ token }) => token)).toEqual(whole.logprobs?.map(({ token }) => token));
}

async function embeddings(served: Served): Promise<void> {
  const model = served.embedder;
  const { embeddings: vectors } = await client(served).embed({ model, input: ['the cat', 'revenue grew'] });
  expect(vectors.map(({ length }) => length)).toEqual([served.dimensions, served.dimensions]);
  const { embedding } = await client(served).embeddings({ model, prompt: 'the cat' });
  expect(embedding).toHaveLength(served.dimensions);
  const [first = []] = vectors;
  const cosine = embedding.reduce((sum, value, place) => sum + value * (first[place] ?? 0), 0);
  expect(cosine / Math.hypot(...embedding) / Math.hypot(...first)).toBeGreaterThan(0.999);
}

async function completions(served: Served): Promise<void> {
  const request = {
    ...{ model: served.model, prompt: 'The capital of France is', raw: true },
    options: { temperature: 0, num_predict: 8 },
  };
  const whole = await client(served).generate(request);
  expect(whole).toMatchObject({ done: true, done_reason: 'length', eval_count: 8 });
  let text = '';
  for await (const line of await client(served).generate({ ...request, stream: true })) text += line.response;
  expect(text).toBe(whole.response);
}

async function models(served: Served): Promise<void> {
  const ollama = client(served);
  const name = served.model.includes(':') ? served.model : `${served.model}:latest`;
  const { models: all } = await ollama.list();
  expect(all.map((model) => model.name)).toContain(name);
  const listed = all.find((model) => model.name === name);
  expect(listed).toMatchObject({ model: name, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
  for (const model of [served.model, name])
    expect((await ollama.show({ model })).capabilities).toContain('completion');
  expect((await ollama.ps()).models.map((model) => model.name)).toContain(name);
  expect((await ollama.version()).version).toMatch(/^\d+\.\d+\.\d+$/);
}

async function abort(served: Served): Promise<void> {
  await expectSlotFreed(served, async () => {
    const lines = await client(served).chat({
      ...asking(served, LONG_QUESTION),
      options: { num_predict: 400 },
      stream: true,
    });
    const read = async () => {
      for await (const _ of lines) lines.abort();
    };
    await expect(read()).rejects.toMatchObject({ name: 'AbortError' });
  });
}

async function errors(served: Served): Promise<void> {
  const ollama = client(served);
  const absent = { ...asking(served), model: 'nobody' };
  await expect(ollama.chat(absent)).rejects.toEqual(refusal(404, /model 'nobody' not found/));
  await expect(ollama.chat({ ...absent, stream: true })).rejects.toEqual(refusal(404, /nobody/));
  await expect(ollama.show({ model: 'nobody' })).rejects.toEqual(refusal(404, /nobody/));
  const long = asking(served, 'word '.repeat(20_000));
  await expect(ollama.chat(long)).rejects.toEqual(refusal(400, /context/));
  const wrong = { ...asking(served), options: { temperature: 'hot' as unknown as number } };
  await expect(ollama.chat(wrong)).rejects.toEqual(refusal(400, /options.temperature/));
  await expect(ollama.delete({ model: served.model })).rejects.toMatchObject({ name: 'ResponseError' });
}

async function failure(served: Served): Promise<void> {
  expect(served.failMidStream).toBeDefined();
  const mend = await served.failMidStream?.();
  try {
    const streamed = async () => {
      for await (const _ of await client(served).chat({ ...asking(served, STORY), stream: true }));
    };
    await expect(streamed()).rejects.toThrow(/backend/);
    await expect(client(served).chat(asking(served, STORY))).rejects.toEqual(refusal(502, /backend/));
  } finally {
    await mend?.();
  }
}

export const ollama: Client = {
  id: 'ollama',
  features: {
    chat,
    stream,
    tools,
    structured,
    images,
    thinking,
    logprobs,
    embeddings,
    completions,
    models,
    abort,
    errors,
    failure,
  },
};
