/** What the tests of the Anthropic SDK ask for, and what they read off an answer. */
import Anthropic from '@anthropic-ai/sdk';
import type { Message, MessageParam, Tool } from '@anthropic-ai/sdk/resources/messages';
import { z } from 'zod';
import type { Served } from './client-suite.ts';

export const QUESTION = 'What is the capital of France?';
export const STORY = 'Write a long story about the sea.';
export const WEATHER_QUESTION = 'Please call get_weather for the weather in Paris.';
/** One black pixel. */
export const PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const WEATHER: Tool = {
  name: 'get_weather',
  description: 'The weather of a city.',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
    required: ['city'],
  },
};
export const ANSWER = z.object({ capital: z.enum(['Paris', 'Rome']), large: z.boolean() });

export function sdk({ url }: Pick<Served, 'url'>): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
}

export function asking(served: Served, content: MessageParam['content'] = QUESTION) {
  return {
    model: served.model,
    max_tokens: 48,
    temperature: 0,
    messages: [{ role: 'user' as const, content }],
  };
}

/** What makes a call of a tool: the wish alone, or being made to. */
export function calling(served: Served) {
  return {
    ...asking(served, WEATHER_QUESTION),
    tools: [WEATHER],
    tool_choice: { type: served.callsByItself ? ('auto' as const) : ('any' as const) },
  };
}

/** The whole prompt: what a cache held of it is counted apart. */
export function promptTokens({ usage }: Pick<Message, 'usage'>): number {
  return usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
}

export function textOf({ content }: Pick<Message, 'content'>): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}
