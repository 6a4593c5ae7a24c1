/** What a schema is refused for: the field at fault, and a message that names keyword, place and what to do. */
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { ServingError } from '../../../../../src/core/errors.ts';

const CASES: readonly (readonly [what: string, schema: unknown, param: string, message: RegExp])[] = [
  [
    'an unknown keyword',
    { properties: { age: { foo: 1 } } },
    'format.properties.age.foo',
    /foo at #\/properties\/age .* not supported.*Supported are type/,
  ],
  [
    'multipleOf',
    { type: 'integer', multipleOf: 2 },
    'format.multipleOf',
    /multipleOf at # of format is not supported: .*enum/,
  ],
  ['patternProperties', { patternProperties: {} }, 'format.patternProperties', /use additionalProperties/],
  ['uniqueItems', { type: 'array', uniqueItems: true }, 'format.uniqueItems', /does not remember/],
  ['not', { not: { type: 'null' } }, 'format.not', /not supported/],
  ['if', { if: true }, 'format.if', /use anyOf/],
  ['nullable', { type: 'string', nullable: true }, 'format.nullable', /list of types/],
  [
    'unevaluatedProperties',
    { unevaluatedProperties: false },
    'format.unevaluatedProperties',
    /use additionalProperties/,
  ],
  ['a schema that is no schema', 5, 'format', /must be an object, true or false/],
  [
    'a format behind a reference',
    { properties: { a: { $ref: '#/$defs/x' } }, $defs: { x: { type: 'string', format: 'email' } } },
    'format.$defs.x.format',
    /format at #\/\$defs\/x/,
  ],
  [
    'bounds behind allOf',
    { allOf: [{ type: 'integer' }, { minimum: 5 }, { maximum: 4 }] },
    'format.allOf.1.minimum',
    /no number/,
  ],
  ['null', null, 'format', /must be an object/],
  ['false', false, 'format', /no value is allowed/],
  ['a type of the wrong shape', { type: 'text' }, 'format.type', /one of object, array/],
  ['no types', { type: [] }, 'format.type', /one of object, array/],
  ['an empty enum', { enum: [] }, 'format.enum', /at least one value/],
  ['required of the wrong shape', { required: 'a' }, 'format.required', /list of strings/],
  ['items as a list', { type: 'array', items: [{ type: 'null' }] }, 'format.items', /prefixItems/],
  [
    'exclusiveMinimum as a boolean',
    { minimum: 1, exclusiveMinimum: true },
    'format.exclusiveMinimum',
    /a number/,
  ],
  ['a negative count', { type: 'array', minItems: -1 }, 'format.minItems', /at least 0/],
  ['a remote reference', { $ref: 'https://example.com/x' }, 'format.$ref', /pointer into the same schema/],
  ['a reference to nothing', { $ref: '#/$defs/x' }, 'format.$ref', /points at nothing/],
  ['a reference to no schema', { $ref: '#/type', type: 'null' }, 'format.$ref', /not a schema/],
  ['a reference to itself', { $ref: '#' }, 'format.$ref', /without ever reaching a value/],
  [
    'references in a circle',
    { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
    'format.$defs.a.$ref',
    /without ever reaching/,
  ],
  [
    'a branch that is the whole',
    { anyOf: [{ $ref: '#' }, { type: 'null' }] },
    'format.$ref',
    /without ever reaching/,
  ],
  [
    'a value that needs itself',
    { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] },
    'format',
    /never end/,
  ],
  [
    'a required property that is not allowed',
    { properties: { a: true }, required: ['b'] },
    'format.required',
    /"b", which is not allowed/,
  ],
  [
    'a required property that is false',
    { properties: { a: false }, required: ['a'] },
    'format.properties.a',
    /no value is allowed/,
  ],
  ['minItems above maxItems', { type: 'array', minItems: 3, maxItems: 2 }, 'format.minItems', /only 2 items/],
  [
    'minItems above what prefixItems allow',
    { type: 'array', prefixItems: [true], minItems: 2 },
    'format.minItems',
    /only 1 item/,
  ],
  [
    'minLength above maxLength',
    { type: 'string', minLength: 3, maxLength: 2 },
    'format.minLength',
    /greater than maxLength/,
  ],
  ['minimum above maximum', { type: 'integer', minimum: 3, maximum: 2 }, 'format.minimum', /no number/],
  [
    'bounds with no integer between',
    { type: 'integer', exclusiveMinimum: 1, exclusiveMaximum: 2 },
    'format.exclusiveMinimum',
    /no number/,
  ],
  [
    'minProperties above what is declared',
    { properties: { a: true }, minProperties: 2 },
    'format.minProperties',
    /only 1 propert/,
  ],
  [
    'minProperties of a map',
    { type: 'object', minProperties: 2 },
    'format.minProperties',
    /one more than the required/,
  ],
  [
    'maxProperties below required',
    { properties: { a: true, b: true }, required: ['a', 'b'], maxProperties: 1 },
    'format.maxProperties',
    /2 properties are required/,
  ],
  [
    'types that exclude one another',
    { allOf: [{ type: 'string' }, { type: 'null' }] },
    'format.allOf.0.type',
    /no type/,
  ],
  ['values that exclude one another', { enum: [1, 2], const: 3 }, 'format.const', /no value/],
  ['a value of another type', { type: 'string', const: 3 }, 'format.const', /no value/],
  ['enum beside pattern', { enum: ['a'], pattern: '^a$' }, 'format.pattern', /beside enum or const/],
  [
    'oneOf with branches that overlap',
    { oneOf: [{ type: 'string' }, { maxLength: 3 }] },
    'format.oneOf',
    /branches 0 and 1.*Use anyOf/,
  ],
  ['a pattern without anchors', { type: 'string', pattern: 'abc' }, 'format.pattern', /begin with \^/],
  [
    'a pattern with alternatives between anchors',
    { type: 'string', pattern: '^a|b$' },
    'format.pattern',
    /\^\(a\|b\)\$/,
  ],
  ['a pattern with look-ahead', { type: 'string', pattern: '^(?=a)b$' }, 'format.pattern', /look-around/],
  ['a pattern with a back reference', { type: 'string', pattern: '^(a)\\1$' }, 'format.pattern', /\\1/],
  ['a pattern with a word boundary', { type: 'string', pattern: '^a\\b$' }, 'format.pattern', /\\b/],
  ['a pattern with a property of Unicode', { type: 'string', pattern: '^\\p{L}$' }, 'format.pattern', /\\p/],
  [
    'a pattern that is no expression',
    { type: 'string', pattern: '^($' },
    'format.pattern',
    /not a valid regular expression/,
  ],
  ['a pattern that repeats nothing', { type: 'string', pattern: '^(a?)*$' }, 'format', /can be empty/],
  [
    'a pattern with a large count',
    { type: 'string', pattern: '^a{3000}$' },
    'format.pattern',
    /more than 1998/,
  ],
  [
    'pattern beside maxLength',
    { type: 'string', pattern: '^a+$', maxLength: 3 },
    'format.pattern',
    /beside minLength or maxLength/,
  ],
  [
    'an unknown format',
    { type: 'string', format: 'email' },
    'format.format',
    /date, time, date-time, uuid, ipv4/,
  ],
  [
    'decimal bounds of a number',
    { type: 'number', minimum: 0.5 },
    'format.minimum',
    /must be an integer from/,
  ],
  ['a large maxLength', { type: 'string', maxLength: 5000 }, 'format.maxLength', /At most 1998/],
  [
    'a place with a slash in its name',
    { properties: { 'a/b': { not: true } } },
    'format.properties.a/b.not',
    /#\/properties\/a~1b/,
  ],
];

describe('a schema is refused', () => {
  it.each(CASES)('for %s', (_, schema, param, message) => {
    expect(() => schemaGrammar(schema, { param: 'format' })).toThrow(ServingError);
    expect(() => schemaGrammar(schema, { param: 'format' })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param, message: expect.stringMatching(message) }),
    );
  });
});
