/** POST /generate and POST /stream: the same body, answered whole or token by token. */
import type { GenerationRoute } from '../generation-route.ts';
import { GenerateAnswer, StreamEvent } from './answer-schema.ts';
import { parseGenerate } from './parse.ts';
import { nativeStream, renderError, renderWhole } from './render.ts';
import { GenerateBody } from './schema.ts';

const shared = {
  kind: 'generation',
  method: 'POST',
  body: GenerateBody,
  whole: renderWhole,
  stream: nativeStream,
  renderError,
} as const;

export const generateRoute: GenerationRoute = {
  ...shared,
  path: '/generate',
  describes: {
    summary: 'Generate a whole answer',
    description: 'Waits in the queue, leaves in a batch, and answers when the generation has ended.',
    answer: GenerateAnswer,
    answerContentType: 'application/json',
  },
  parse: parseGenerate('whole'),
};

export const streamRoute: GenerationRoute = {
  ...shared,
  path: '/stream',
  describes: {
    summary: 'Generate token by token',
    description:
      'Server-sent events: one per token, one for each tool call and for each piece of its arguments, then one with the ' +
      'finish reason and usage, then `[DONE]`. ' +
      '`[DONE]` means success: a stream that fails ends with an error event and without it.',
    answer: StreamEvent,
    answerContentType: 'text/event-stream',
  },
  parse: parseGenerate('stream'),
};
