import { expect, it } from 'vitest';
import type { TokenizeRequest } from '../../../src/core/backend.ts';
import { inputTokensRoute } from '../../../src/protocols/openai/responses/input-tokens.ts';
import type { House } from '../../../src/protocols/query-route.ts';

it('counts the prompt that a response would have, instructions and tools included', async () => {
  const asked: [string, TokenizeRequest][] = [];
  const house = {
    requireModel: () => ({ id: 'm' }),
    tokenize: async (model: string, request: TokenizeRequest) => {
      asked.push([model, request]);
      return [1, 2, 3];
    },
  } as unknown as House;
  const body = {
    model: 'alias',
    instructions: 'Be brief.',
    input: 'hi',
    tools: [{ type: 'function', name: 'clock', parameters: { type: 'object' } }],
  };
  const answer = await inputTokensRoute.answer({ body, params: {}, headers: {} }, house);
  expect(answer).toEqual({ object: 'response.input_tokens', input_tokens: 3 });
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'hi' },
  ];
  expect(asked).toMatchObject([
    ['m', { input: { kind: 'chat', messages }, tools: { tools: [{ name: 'clock' }] } }],
  ]);
});
