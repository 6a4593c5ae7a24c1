/** POST /v1/completions. */
import type { GenerationRoute } from '../../generation-route.ts';
import { Completion, CompletionChunk } from './answer-schema.ts';
import { parseCompletion } from './parse.ts';
import { CompletionBody } from './schema.ts';

export const completionRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/completions',
  fieldNames: { repeat_penalty: 'repetition_penalty' },
  describes: {
    summary: 'Continue a text',
    description:
      'As the OpenAI API has it, without a chat template. null counts as absent; fields that are not listed are passed on to ' +
      'backends that take them, and ignored by all others. With stream, `data: [DONE]` means success: a stream that fails ends ' +
      'with an error event and without it.',
    body: CompletionBody,
    example: { prompt: 'Once upon a time', max_tokens: 16 },
    answers: { 'application/json': Completion, 'text/event-stream': CompletionChunk },
  },
  parse: parseCompletion,
};
