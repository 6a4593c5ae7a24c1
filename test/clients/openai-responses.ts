/** The Responses API with the official client for Node: whole, streamed, with tools, in a form. */
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { expect } from 'vitest';
import { z } from 'zod';
import {
  City,
  QUESTION,
  TOOL_DESCRIPTION,
  TOOL_NAME,
  TOOL_QUESTION,
  WEATHER,
  WeatherArguments,
} from './asked.ts';
import type { Served } from './client-suite.ts';

export async function openAiResponses(served: Served): Promise<void> {
  const { responses } = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  await asksAndStreams(responses, served);
  await callsTools(responses, served);
  const formed = await responses.parse({
    model: served.model,
    input: QUESTION,
    store: false,
    text: { format: zodTextFormat(City, 'city') },
  });
  expect(City.parse(formed.output_parsed)).toBeDefined();
}

async function asksAndStreams(responses: OpenAI['responses'], { model }: Served): Promise<void> {
  const asked = { model, input: QUESTION, instructions: 'Be brief.', temperature: 0, store: false };
  const answer = await responses.create(asked);
  expect(answer).toMatchObject({ status: 'completed', output_text: expect.stringContaining('Paris') });
  expect(answer.usage?.total_tokens).toBe(answer.usage!.input_tokens + answer.usage!.output_tokens);
  const deltas: string[] = [];
  const stream = responses.stream(asked).on('response.output_text.delta', ({ delta }) => deltas.push(delta));
  const whole = await stream.finalResponse();
  expect(deltas.length).toBeGreaterThan(2);
  expect(whole).toMatchObject({ status: 'completed', output_text: deltas.join('') });
}

async function callsTools(responses: OpenAI['responses'], served: Served): Promise<void> {
  const offered = {
    model: served.model,
    store: false,
    max_output_tokens: 24,
    temperature: 0,
    tools: [
      {
        type: 'function' as const,
        name: TOOL_NAME,
        description: TOOL_DESCRIPTION,
        parameters: z.toJSONSchema(WeatherArguments),
        strict: true,
      },
    ],
  };
  const question = { role: 'user' as const, content: TOOL_QUESTION };
  const called = await responses
    .stream({
      ...offered,
      input: [question],
      ...(!served.callsByItself && { tool_choice: 'required' as const }),
    })
    .finalResponse();
  const call = called.output.find((item) => item.type === 'function_call');
  expect(call).toMatchObject({ name: TOOL_NAME, call_id: expect.any(String) });
  expect(WeatherArguments.parse(JSON.parse(call!.arguments))).toBeDefined();
  const result = { type: 'function_call_output' as const, call_id: call!.call_id, output: WEATHER };
  const { parsed_arguments: _parsed, ...asSent } = call!;
  const answer = await responses.create({ ...offered, input: [question, asSent, result] });
  expect(answer.output_text).toMatch(/\w/);
}
