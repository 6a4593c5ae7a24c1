/** POST /v1/responses/input_tokens: how long the prompt of a response would be. */
import { type Static, Type } from 'typebox';
import type { RequestId } from '../../../core/generation.ts';
import type { QueryRoute } from '../../query-route.ts';
import { fieldNames } from './field-names.ts';
import { parseRequest } from './parse.ts';
import { ResponsesBody } from './request-schema.ts';

const InputTokens = Type.Object({
  object: Type.Literal('response.input_tokens'),
  input_tokens: Type.Integer({ minimum: 0 }),
});

export const inputTokensRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/v1/responses/input_tokens',
  limited: true,
  fieldNames,
  describes: {
    summary: 'Count the tokens of a response’s prompt',
    description:
      'Takes what POST /v1/responses takes, and refuses the same. As the model’s own vocabulary and chat template have it; ' +
      'refused where its backend does not tell.',
    body: ResponsesBody,
    example: { input: 'What is the capital of France?' },
    answers: { 'application/json': InputTokens },
  },
  answer: async ({ body }, house): Promise<Static<typeof InputTokens>> => {
    const { request } = parseRequest(body, {
      requireModel: (name) => house.requireModel(name),
      // It goes nowhere.
      newRequestId: () => '' as RequestId,
    });
    const { model, input, tools } = request;
    const tokens = await house.tokenize(model, { input, ...(tools !== undefined && { tools }) });
    return { object: 'response.input_tokens', input_tokens: tokens.length };
  },
};
