/** The native API: its routes. Bodies are strict: an unknown field is a 400. */

import { CITY_SCHEMA, QUESTION } from '../examples.ts';
import type { GenerationRoute, Protocol } from '../protocol.ts';
import { embedRoute } from './embed.ts';
import { parseGenerate } from './parse.ts';
import { GenerateAnswer, nativeErrors, StreamEvent } from './render.ts';
import { GenerateBody } from './schema.ts';

const body = {
  schema: GenerateBody,
  oneOf: ['prompt', 'messages'],
  examples: {
    'A question': { prompt: QUESTION, max_tokens: 32 },
    'A conversation': {
      messages: [
        { role: 'system', content: 'Answer with one word.' },
        { role: 'user', content: QUESTION },
      ],
      max_tokens: 32,
    },
    'Structured output': { prompt: QUESTION, format: CITY_SCHEMA, max_tokens: 64 },
    'A tool call': {
      prompt: 'How warm is it in Paris?',
      tools: [{ name: 'get_weather', description: 'The weather of a city.', parameters: CITY_SCHEMA }],
      tool_choice: 'required',
      max_tokens: 64,
    },
  },
} as const;

const generateRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/generate',
  describes: {
    summary: 'Generate a whole answer',
    description: 'Waits in the queue, leaves in a batch, and answers when the generation has ended.',
    body,
    answers: { 'application/json': GenerateAnswer },
  },
  parse: parseGenerate('whole'),
};

const streamRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/stream',
  describes: {
    summary: 'Generate token by token',
    description:
      'Server-sent events: one per token, one for each tool call and for each piece of its arguments, then one with the ' +
      'finish reason and usage, then `[DONE]`. ' +
      '`[DONE]` means success: a stream that fails ends with an error event and without it.',
    body,
    answers: { 'text/event-stream': StreamEvent },
  },
  parse: parseGenerate('stream'),
};

export const native: Protocol = {
  name: 'native',
  routes: [generateRoute, streamRoute, embedRoute],
  pathPrefixes: ['/'],
  bodyLimit: 'text',
  contentTypes: 'json',
  errors: nativeErrors,
};
