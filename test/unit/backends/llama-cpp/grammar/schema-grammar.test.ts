/** Each keyword of JSON Schema that is supported: texts that the engine then allows, and texts that it does not. */

import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { KEYWORDS } from '../../../../../src/backends/llama-cpp/grammar/schema/keywords.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { COMBINED } from './schema-combinations.ts';
import { ARRAYS, OBJECTS } from './schema-containers.ts';
import { NUMBERS, STRINGS, TYPES, VALUES } from './schema-scalars.ts';

const engine = await grammarEngine();

const ALL = [...TYPES, ...VALUES, ...OBJECTS, ...ARRAYS, ...STRINGS, ...NUMBERS, ...COMBINED];

describe('JSON Schema', () => {
  it.for(ALL)('$what', async ({ schema, valid, invalid }, context) => {
    const { gbnf } = schemaGrammar(schema);
    const reader = engineOrSkip(engine, context);
    for (const json of valid) expect([json, await reader.accepts(gbnf, json)]).toEqual([json, true]);
    for (const json of invalid) expect([json, await reader.accepts(gbnf, json)]).toEqual([json, false]);
  });

  it('has an example of every supported keyword', () => {
    const used = JSON.stringify(ALL.map(({ schema }) => schema));
    const supported = Array.from(KEYWORDS).flatMap(([keyword, { use }]) => (use === 'met' ? [keyword] : []));
    expect(supported.filter((keyword) => !used.includes(`"${keyword}":`))).toEqual([]);
  });
});
