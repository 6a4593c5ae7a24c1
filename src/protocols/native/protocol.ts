/** POST /generate and POST /stream: the same body, answered whole or token by token. */

import type { GenerationRoute, Protocol } from '../protocol.ts';
import { embedRoute } from './embed.ts';
import { parseGenerate } from './parse.ts';
import { GenerateAnswer, nativeErrors, StreamEvent } from './render.ts';
import { GenerateBody } from './schema.ts';

const generateRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/generate',
  describes: {
    summary: 'Generate a whole answer',
    description: 'Waits in the queue, leaves in a batch, and answers when the generation has ended.',
    body: GenerateBody,
    example: { prompt: 'What is the capital of France?', max_tokens: 32 },
    oneOf: ['prompt', 'messages'],
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
    body: GenerateBody,
    example: { prompt: 'What is the capital of France?', max_tokens: 32 },
    oneOf: ['prompt', 'messages'],
    answers: { 'text/event-stream': StreamEvent },
  },
  parse: parseGenerate('stream'),
};

/** The native API: strict bodies, our own names. */

export const native: Protocol = {
  name: 'native',
  routes: [generateRoute, streamRoute, embedRoute],
  pathPrefixes: ['/'],
  bodyLimit: 'text',
  contentTypes: 'json',
  errors: nativeErrors,
};
