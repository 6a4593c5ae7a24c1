/** What the Anthropic SDK is answered: by itself, and through its own helpers. */
import { type Anthropic, BadRequestError, NotFoundError } from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { expect } from 'vitest';
import { z } from 'zod';
import {
  ANSWER,
  asking,
  calling,
  PICTURE,
  promptTokens,
  QUESTION,
  sdk,
  textOf,
  WEATHER_QUESTION,
} from './anthropic-requests.ts';
import type { Served } from './client-suite.ts';

export async function chat(served: Served): Promise<void> {
  const message = await sdk(served).messages.create({
    ...asking(served),
    system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
  });
  expect(message).toMatchObject({ type: 'message', role: 'assistant', model: served.model });
  expect(textOf(message)).toContain('Paris');
  expect(message.stop_reason).toBe('end_turn');
  expect(promptTokens(message)).toBeGreaterThan(5);
  expect(message.usage.output_tokens).toBeGreaterThan(1);
  const cut = await sdk(served).messages.create({ ...asking(served), max_tokens: 2 });
  expect(cut).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 2 } });
  const stopped = await sdk(served).messages.create({ ...asking(served), stop_sequences: ['Paris'] });
  expect(textOf(stopped)).not.toContain('Paris');
  expect(['stop_sequence', 'end_turn']).toContain(stopped.stop_reason);
}

export async function stream(served: Served): Promise<void> {
  const whole = await sdk(served).messages.create(asking(served));
  const types: string[] = [];
  let text = '';
  let usage: unknown;
  for await (const event of await sdk(served).messages.create({ ...asking(served), stream: true })) {
    if (event.type !== types.at(-1)) types.push(event.type);
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
    if (event.type === 'message_delta') usage = event.usage;
  }
  expect(types).toEqual([
    'message_start',
    'content_block_start',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
  expect(text).toBe(textOf(whole));
  expect(usage).toMatchObject({ output_tokens: whole.usage.output_tokens });
}

export async function streamHelper(served: Served): Promise<void> {
  const whole = await sdk(served).messages.create(asking(served));
  const pieces: string[] = [];
  const helper = sdk(served)
    .messages.stream(asking(served))
    .on('text', (piece) => pieces.push(piece));
  const message = await helper.finalMessage();
  expect(await helper.finalText()).toBe(textOf(whole));
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.join('')).toBe(textOf(whole));
  expect(message.stop_reason).toBe(whole.stop_reason);
  expect(promptTokens(message)).toBe(promptTokens(whole));
  expect(message.usage.output_tokens).toBe(whole.usage.output_tokens);
  const snapshots: unknown[] = [];
  const called = await sdk(served)
    .messages.stream(calling(served))
    .on('inputJson', (_, snapshot) => snapshots.push(snapshot))
    .finalMessage();
  expect(called.stop_reason).toBe('tool_use');
  const block = called.content.find(({ type }) => type === 'tool_use');
  expect(block).toMatchObject({ name: 'get_weather', input: snapshots.at(-1) });
}

export async function tools(served: Served): Promise<void> {
  const client = sdk(served);
  const request = calling(served);
  const message = await client.messages.create(request);
  expect(message.stop_reason).toBe('tool_use');
  const [call] = message.content.flatMap((block) => (block.type === 'tool_use' ? [block] : []));
  expect(call).toMatchObject({
    name: 'get_weather',
    id: expect.any(String),
    input: { city: expect.stringMatching(/^(Paris|Rome)$/) },
  });
  const answer = await client.messages.create({
    ...request,
    tool_choice: { type: served.callsByItself ? 'auto' : 'none' },
    messages: [
      ...request.messages,
      { role: 'assistant', content: message.content },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: call?.id ?? '', content: '18 degrees and sunny.' }],
      },
    ],
  });
  expect(answer.content.map(({ type }) => type)).toEqual(['text']);
  expect(textOf(answer)).not.toBe('');
  if (served.callsByItself) await toolRunner(served);
}

/** Calls, runs and answers in a loop of its own. */
async function toolRunner(served: Served): Promise<void> {
  const cities: string[] = [];
  const tool = betaZodTool({
    name: 'get_weather',
    description: 'The weather of a city.',
    inputSchema: z.object({ city: z.enum(['Paris', 'Rome']) }),
    run: ({ city }) => {
      cities.push(city);
      return '18 degrees and sunny.';
    },
  });
  const ask = { ...asking(served, WEATHER_QUESTION), tools: [tool], max_iterations: 4 };
  for (const streamed of [false, true]) {
    const last = streamed
      ? await sdk(served)
          .beta.messages.toolRunner({ ...ask, stream: true })
          .runUntilDone()
      : await sdk(served).beta.messages.toolRunner(ask);
    expect(last.stop_reason).toBe('end_turn');
    expect(last.content.map(({ type }) => type)).toEqual(['text']);
  }
  expect(cities).toEqual(['Paris', 'Paris']);
}

export async function structured(served: Served): Promise<void> {
  const request = { ...asking(served), output_config: { format: zodOutputFormat(ANSWER) } };
  const message = await sdk(served).messages.parse(request);
  expect(ANSWER.parse(message.parsed_output)).toEqual(message.parsed_output);
  const streamed = await sdk(served).messages.stream(request).finalMessage();
  expect(ANSWER.parse(streamed.parsed_output)).toEqual(streamed.parsed_output);
}

export async function images(served: Served): Promise<void> {
  const beside = (source: Anthropic.ImageBlockParam['source']) =>
    asking(served, [
      { type: 'image', source },
      { type: 'text', text: QUESTION },
    ]);
  const seen = await sdk(served).messages.create(
    beside({ type: 'base64', media_type: 'image/png', data: PICTURE }),
  );
  expect(textOf(seen)).not.toBe('');
  const elsewhere = sdk(served).messages.create(beside({ type: 'url', url: 'https://example.com/a.png' }));
  await expect(elsewhere).rejects.toBeInstanceOf(BadRequestError);
}

export async function thinking(served: Served): Promise<void> {
  const request = {
    ...asking(served),
    model: served.thinker ?? 'none',
    max_tokens: 2048,
    thinking: { type: 'enabled' as const, budget_tokens: 1024 },
    temperature: 1,
  };
  const whole = await sdk(served).messages.create(request);
  expect(whole.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
  const thoughts: string[] = [];
  const streamed = await sdk(served)
    .messages.stream(request)
    .on('thinking', (piece) => thoughts.push(piece))
    .finalMessage();
  expect(streamed.content).toMatchObject([
    { type: 'thinking', thinking: thoughts.join('') },
    { type: 'text' },
  ]);
  expect(thoughts.join('')).not.toBe('');
  const again = await sdk(served).messages.create({
    ...request,
    messages: [
      ...request.messages,
      { role: 'assistant', content: whole.content },
      { role: 'user', content: 'And of Italy?' },
    ],
  });
  expect(textOf(again)).not.toBe('');
}

export async function countTokens(served: Served): Promise<void> {
  const { model, messages } = asking(served);
  const { input_tokens: counted } = await sdk(served).messages.countTokens({ model, messages });
  expect(counted).toBe(promptTokens(await sdk(served).messages.create(asking(served))));
}

export async function models(served: Served): Promise<void> {
  const names: string[] = [];
  for await (const model of sdk(served).models.list({ limit: 1000 })) {
    names.push(model.id);
    expect(model).toMatchObject({ type: 'model', display_name: expect.any(String) });
    expect(Date.parse(model.created_at)).toBeGreaterThan(0);
  }
  expect(names).toContain(served.model);
  expect(await sdk(served).models.retrieve(served.model)).toMatchObject({ id: served.model, type: 'model' });
  const unknown = sdk(served).models.retrieve('nobody');
  await expect(unknown).rejects.toBeInstanceOf(NotFoundError);
}
