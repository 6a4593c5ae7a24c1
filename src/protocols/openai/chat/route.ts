/** POST /v1/chat/completions. */
import type { GenerationRoute } from '../../generation-route.ts';
import { ChatChunk, ChatCompletion } from './answer-schema.ts';
import { parseChat } from './parse.ts';
import { ChatBody } from './schema.ts';

export const chatRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/chat/completions',
  fieldNames: {
    format: 'response_format',
    'format.*': 'response_format.json_schema.schema',
    'messages[].images': 'messages[].content',
    prompt: 'messages',
    repeat_penalty: 'repetition_penalty',
    think: 'reasoning_effort',
  },
  describes: {
    summary: 'Chat',
    description:
      'As the OpenAI API has it. null counts as absent; fields that are not listed are passed on to backends that take them, ' +
      'and ignored by all others. With stream, `data: [DONE]` means success: a stream that fails ends with an error event and ' +
      'without it.',
    body: ChatBody,
    answers: { 'application/json': ChatCompletion, 'text/event-stream': ChatChunk },
  },
  parse: parseChat,
};
