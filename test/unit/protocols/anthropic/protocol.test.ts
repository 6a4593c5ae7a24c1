import { expect, it } from 'vitest';
import type { TokenizeRequest } from '../../../../src/core/backend.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import { countTokensRoute } from '../../../../src/protocols/anthropic/protocol.ts';
import type { QueryContext } from '../../../../src/protocols/protocol.ts';

const asks = { role: 'user', content: 'hi' };
const clock = { name: 'clock', input_schema: { type: 'object' } };

async function countOf(body: unknown) {
  const asked: [string, TokenizeRequest][] = [];
  const house = {
    requireModel: (name: string) => {
      if (name !== 'alias') throw new ServingError('model_not_found', { param: 'model' });
      return { id: 'm' };
    },
    tokenize: async (model: string, request: TokenizeRequest) => {
      asked.push([model, request]);
      return [1, 2, 3];
    },
  } as unknown as QueryContext;
  return { answer: await countTokensRoute.answer({ body, params: {}, headers: {} }, house), asked };
}

it('counts the prompt that a message would have, tools included', async () => {
  const body = { model: 'alias', system: 'Be brief.', messages: [asks], tools: [clock] };
  const { answer, asked } = await countOf(body);
  expect(answer).toEqual({ input_tokens: 3 });
  const messages = [{ role: 'system', content: 'Be brief.' }, asks];
  const tools = { tools: [{ name: 'clock', parameters: { type: 'object' } }], choice: 'auto' };
  expect(asked).toEqual([['m', { input: { kind: 'chat', messages }, tools, thinking: false }]]);
});

it('counts a conversation that ends with an answer', async () => {
  const { asked } = await countOf({ model: 'alias', messages: [asks, { role: 'assistant', content: 'a' }] });
  expect(asked[0]?.[1]).toEqual({
    input: { kind: 'chat', messages: [asks, { role: 'assistant', content: 'a' }], continuesLast: true },
    thinking: false,
  });
});

it.each([
  [{ model: 'alias', messages: [] }, 'messages'],
  [{ model: 'alias', messages: [asks], tools: {} }, 'tools'],
  [{ model: 'alias', messages: [asks], thinking: 1 }, 'thinking'],
  [{ model: 'alias', messages: [asks], container: 'c' }, 'container'],
  [{ model: 'other', messages: [asks] }, 'model'],
])('refuses what a message would be refused for: %j', async (body, param) => {
  await expect(countOf(body)).rejects.toMatchObject({ param });
});

it.each([
  [{}, false],
  [{ thinking: { type: 'disabled' } }, false],
  [{ thinking: { type: 'adaptive' } }, undefined],
  [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, true],
])('counts a prompt with %j as one that thinks or not: %s', async (fields, thinking) => {
  const { asked } = await countOf({ model: 'alias', messages: [asks], ...fields });
  expect(asked[0]?.[1].thinking).toBe(thinking);
});
