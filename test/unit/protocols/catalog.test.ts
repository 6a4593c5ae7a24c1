import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { PROTOCOLS } from '../../../src/protocols/catalog.ts';
import type { QueryContext } from '../../../src/protocols/protocol.ts';
import { parseContext } from '../../support/protocol-answers.ts';

const routes = PROTOCOLS.flatMap(({ routes }) => routes);
const examples = routes.flatMap((route) => {
  const { schema, examples: named = {} } = route.describes.body ?? {};
  return Object.entries(named).map(([name, body]) => ({
    route,
    title: `${route.path}: ${name}`,
    schema,
    body,
  }));
});

/** A server with the models that the examples name. */
const context = parseContext({ requireModel: (id = 'smollm2') => ({ id, contextSize: 1000 }) });
const model = { id: 'smollm2', aliases: [], targets: [{ state: 'ready' }], abilities: [], details: {} };
const queries = {
  requireModel: () => model,
  tokenize: async () => [1, 2],
  detokenize: async () => 'one two',
  startedAt: 0,
} as unknown as QueryContext;

describe('the routes of all protocols', () => {
  it('have an example for each body', () => {
    const without = routes.filter(
      ({ describes: { body } }) => body && Object.keys(body.examples).length === 0,
    );
    expect(without).toEqual([]);
    const bodies = routes.filter(({ method }) => method === 'POST');
    expect(bodies.filter(({ describes: { body } }) => body === undefined)).toEqual([]);
  });

  it.each(examples)('publish a schema that allows their example: $title', ({ schema, body }) => {
    expect(Compile(schema as object).Errors(body)).toEqual([]);
  });

  it.each(examples)('take their example: $title', async ({ route, body }) => {
    if (route.kind === 'query')
      expect(await route.answer({ body, params: {}, headers: {} }, queries)).toBeDefined();
    else route.parse(body, context);
  });
});
