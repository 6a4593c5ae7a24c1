/** POST /v1/messages/count_tokens: how long the prompt of a message would be. */
import { type Static, Type } from 'typebox';
import type { QueryRoute } from '../query-route.ts';
import { fieldNames } from './field-names.ts';
import { parseCount } from './parse.ts';
import { CountBody } from './schema.ts';

const Count = Type.Object({ input_tokens: Type.Integer({ minimum: 0 }) });

export const countTokensRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/v1/messages/count_tokens',
  limited: true,
  fieldNames,
  describes: {
    summary: 'Count the tokens of a message’s prompt',
    description:
      'As the model’s own vocabulary and chat template have it; refused where its backend does not tell.',
    body: CountBody,
    example: { messages: [{ role: 'user', content: 'What is the capital of France?' }] },
    answers: { 'application/json': Count },
  },
  answer: async ({ body }, house): Promise<Static<typeof Count>> => {
    const { model, input, tools, thinking } = parseCount(body);
    const { id } = house.requireModel(model);
    const tokens = await house.tokenize(id, {
      input,
      ...(tools !== undefined && { tools }),
      ...(thinking !== undefined && { thinking }),
    });
    return { input_tokens: tokens.length };
  },
};
