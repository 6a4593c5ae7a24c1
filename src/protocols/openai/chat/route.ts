/** POST /v1/chat/completions. */
import type { GenerationRoute } from '../../generation-route.ts';
import { ChatChunk, ChatCompletion } from './answer-schema.ts';
import { fieldNames } from './field-names.ts';
import { parseChat } from './parse.ts';
import { ChatBody } from './schema.ts';

export const chatRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/chat/completions',
  fieldNames,
  describes: {
    summary: 'Chat',
    description:
      'As the OpenAI API has it. null counts as absent; fields that are not listed are passed on to backends that take them, ' +
      'and ignored by all others. With stream, `data: [DONE]` means success: a stream that fails ends with an error event and ' +
      'without it.',
    body: ChatBody,
    example: { messages: [{ role: 'user', content: 'What is the capital of France?' }], max_tokens: 32 },
    answers: { 'application/json': ChatCompletion, 'text/event-stream': ChatChunk },
  },
  parse: parseChat,
};
