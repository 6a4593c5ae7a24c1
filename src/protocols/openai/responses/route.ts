/** POST /v1/responses: the Responses API without its memory. What is kept nowhere cannot be asked for later. */
import { ServingError } from '../../../core/errors.ts';
import type { GenerationRoute } from '../../generation-route.ts';
import type { QueryRoute } from '../../query-route.ts';
import { ResponseObject } from './answer-schema.ts';
import { ResponseEvent } from './event-schema.ts';
import { fieldNames } from './field-names.ts';
import { inputTokensRoute } from './input-tokens.ts';
import { parseResponses } from './parse.ts';
import { ResponsesBody } from './request-schema.ts';

export const respondRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/responses',
  describes: {
    summary: 'Respond',
    description:
      'Text, function and custom tools, whole or as events. Nothing is kept: each request brings the whole conversation, ' +
      'and what needs a memory (previous_response_id, conversation, background, prompt, item references) is refused. ' +
      'The vendor’s own tools, and what they left in the input, are dropped and named in X-Dropped-Parameters. ' +
      'Fields that are null count as absent; fields that are not named here go to backends that ' +
      'take them by name, and are ignored elsewhere. A stream that fails ends with response.failed and an error event.',
    body: ResponsesBody,
    example: { input: 'What is the capital of France?', max_output_tokens: 32 },
    answers: { 'application/json': ResponseObject, 'text/event-stream': ResponseEvent },
  },
  fieldNames,
  parse: parseResponses,
};

function notKept(method: QueryRoute['method'], summary: string): QueryRoute {
  return {
    kind: 'query',
    method,
    path: '/v1/responses/*',
    limited: false,
    describes: {
      summary,
      description: 'Always answers 404: responses are not kept.',
      answers: {},
    },
    answer: () => {
      throw new ServingError('not_found', {
        message:
          'Responses are not kept here, so there is none to find. Keep what POST /v1/responses answers.',
      });
    },
  };
}

export const responsesRoutes = [
  respondRoute,
  inputTokensRoute,
  notKept('GET', 'Get a response (none is kept)'),
  notKept('DELETE', 'Delete a response (none is kept)'),
];
