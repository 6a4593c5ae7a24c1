/** POST /v1/messages: an answer to a conversation, whole or as a stream of events. */
import type { GenerationRoute } from '../generation-route.ts';
import { MessageAnswer, MessageEvent } from './answer-schema.ts';
import { fieldNames } from './field-names.ts';
import { parseMessages } from './parse.ts';
import { MessagesBody } from './schema.ts';

export const messagesRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/messages',
  fieldNames,
  describes: {
    summary: 'Create a message',
    description:
      'As the Anthropic API has it. With "stream": true server-sent events; message_stop means success: a stream that ' +
      'fails ends with an error event and without it.',
    body: MessagesBody,
    example: { max_tokens: 32, messages: [{ role: 'user', content: 'What is the capital of France?' }] },
    answers: { 'application/json': MessageAnswer, 'text/event-stream': MessageEvent },
  },
  parse: parseMessages,
};
