/** Each keyword of JSON Schema that is supported: texts that the engine then allows, and texts that it does not. */
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/schema-grammar.ts';
import { KEYWORDS } from '../../../../../src/backends/llama-cpp/grammar/schema-keywords.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';

const engine = await grammarEngine();

interface Case {
  readonly what: string;
  readonly schema: unknown;
  readonly valid: readonly string[];
  readonly invalid: readonly string[];
}

const text = (value: unknown) => JSON.stringify(value);
const abc = { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } };

const TYPES: readonly Case[] = [
  { what: 'type object', schema: { type: 'object' }, valid: ['{}', '{"a":[1]}'], invalid: ['[]', 'null'] },
  { what: 'type array', schema: { type: 'array' }, valid: ['[]', '[1, {"a":[]}]'], invalid: ['{}', '[1,]'] },
  { what: 'type string', schema: { type: 'string' }, valid: ['""', '"a\\n"'], invalid: ['a', '"\n"'] },
  { what: 'type number', schema: { type: 'number' }, valid: ['0', '-1.5', '1e3'], invalid: ['01', '"1"'] },
  {
    what: 'type integer',
    schema: { type: 'integer' },
    valid: ['0', '-12', '999999999999999'],
    invalid: ['1.0', '1e2', '-0', '01'],
  },
  { what: 'type boolean', schema: { type: 'boolean' }, valid: ['true', 'false'], invalid: ['True', '1'] },
  { what: 'type null', schema: { type: 'null' }, valid: ['null'], invalid: ['""', 'nul'] },
  {
    what: 'a list of types',
    schema: { type: ['integer', 'null'] },
    valid: ['1', 'null'],
    invalid: ['"1"', 'true'],
  },
  {
    what: 'integer beside number',
    schema: { type: ['integer', 'number'] },
    valid: ['1', '1.5'],
    invalid: ['null'],
  },
  { what: 'true', schema: true, valid: ['1', '"a"', '[{}]', 'null'], invalid: ['', 'a'] },
  { what: 'an empty schema', schema: {}, valid: ['1', '[true]'], invalid: ['', '1 2'] },
  {
    what: 'a type that the keywords tell',
    schema: { properties: { a: true } },
    valid: ['{}', '{"a":1}'],
    invalid: ['1', '{"b":1}'],
  },
  {
    what: 'annotations',
    schema: { $schema: 'x', title: 't', description: 'd', default: 1, examples: [2], type: 'null' },
    valid: ['null'],
    invalid: ['1'],
  },
];

const VALUES: readonly Case[] = [
  {
    what: 'enum of strings',
    schema: { enum: ['a', 'ab', 'b"c', 'é'] },
    valid: ['"a"', '"ab"', '"b\\"c"', '"é"'],
    invalid: ['"abc"', '""', '"c"'],
  },
  {
    what: 'enum of any values',
    schema: { enum: [1, -2.5, null, true, [1, 'x'], { a: { b: 2 } }] },
    valid: ['1', '-2.5', 'null', 'true', '[1,"x"]', '{"a":{"b":2}}'],
    invalid: ['2', '[1]', '{"a":{}}', 'false'],
  },
  { what: 'enum beside a type', schema: { type: 'string', enum: ['a', 1] }, valid: ['"a"'], invalid: ['1'] },
  {
    what: 'enum beside bounds',
    schema: { type: 'integer', minimum: 2, enum: [1, 2, 3, 2.5] },
    valid: ['2', '3'],
    invalid: ['1', '2.5'],
  },
  { what: 'const', schema: { const: 'x' }, valid: ['"x"'], invalid: ['"y"', '"xx"'] },
  {
    what: 'const of an object',
    schema: { const: { a: [1, 2] } },
    valid: ['{"a":[1,2]}'],
    invalid: ['{"a": [1,2]}', '{}'],
  },
  { what: 'const null', schema: { const: null }, valid: ['null'], invalid: ['0'] },
];

const OBJECTS: readonly Case[] = [
  {
    what: 'required properties, in their order',
    schema: { type: 'object', properties: abc, required: ['c', 'a', 'b'] },
    valid: ['{"a":null,"b":null,"c":null}', '{ "a": null, "b": null, "c": null }'],
    invalid: ['{"b":null,"a":null,"c":null}', '{"a":null,"b":null}', '{}'],
  },
  {
    what: 'properties that may be left out',
    schema: { type: 'object', properties: abc },
    valid: [
      '{}',
      '{"a":null}',
      '{"b":null}',
      '{"c":null}',
      '{"a":null,"c":null}',
      '{"a":null,"b":null,"c":null}',
    ],
    invalid: ['{"c":null,"a":null}', '{"a":null,}', '{,"a":null}', '{"a":null "b":null}', '{"d":null}'],
  },
  {
    what: 'required amid optional ones',
    schema: { type: 'object', properties: abc, required: ['b'] },
    valid: ['{"b":null}', '{"a":null,"b":null}', '{"b":null,"c":null}'],
    invalid: ['{}', '{"a":null}', '{"a":null,"c":null}'],
  },
  {
    what: 'names that need escapes',
    schema: {
      type: 'object',
      properties: { 'a"b\\c\n': { type: 'null' }, __proto__x: true },
      required: ['a"b\\c\n'],
    },
    valid: [text({ 'a"b\\c\n': null })],
    invalid: ['{}'],
  },
  {
    what: 'no properties at all',
    schema: { type: 'object', properties: {} },
    valid: ['{}', '{ }'],
    invalid: ['{"a":1}'],
  },
  {
    what: 'additionalProperties false',
    schema: { type: 'object', properties: { a: true }, additionalProperties: false },
    valid: ['{}', '{"a":1}'],
    invalid: ['{"b":1}'],
  },
  {
    what: 'additionalProperties true',
    schema: { type: 'object', properties: { a: { type: 'null' } }, additionalProperties: true },
    valid: ['{}', '{"b":1}', '{"a":null,"b":[1],"c":2}', '{"aa":1}', '{"":1}'],
    invalid: ['{"a":1}', '{"b":1,"a":1}'],
  },
  {
    what: 'additionalProperties with a schema',
    schema: { type: 'object', additionalProperties: { type: 'integer' } },
    valid: ['{}', '{"x":1}', '{"x":1,"y":2}'],
    invalid: ['{"x":"1"}'],
  },
  {
    what: 'further properties that look like declared ones',
    schema: {
      type: 'object',
      properties: { ab: { type: 'null' }, abc: { type: 'null' } },
      additionalProperties: { type: 'integer' },
    },
    valid: ['{"a":1}', '{"abcd":1}', '{"abd":1}', '{"b":1}', '{"ab":null,"abc":null,"abx":1}'],
    invalid: ['{"ab":1}', '{"abc":1}', '{"\\u0061b":1}'],
  },
  {
    what: 'a required property that additionalProperties allows',
    schema: { type: 'object', required: ['x'], additionalProperties: { type: 'integer' } },
    valid: ['{"x":1}', '{"x":1,"y":2}'],
    invalid: ['{}', '{"y":1}'],
  },
  {
    what: 'required alone',
    schema: { type: 'object', required: ['x'] },
    valid: ['{"x":[]}', '{"x":1,"y":2}'],
    invalid: ['{}', '{"y":1}'],
  },
  {
    what: 'minProperties',
    schema: { type: 'object', properties: abc, minProperties: 2 },
    valid: ['{"a":null,"c":null}', '{"a":null,"b":null,"c":null}'],
    invalid: ['{}', '{"a":null}', '{"c":null}'],
  },
  {
    what: 'maxProperties',
    schema: { type: 'object', properties: abc, maxProperties: 1 },
    valid: ['{}', '{"a":null}', '{"c":null}'],
    invalid: ['{"a":null,"b":null}'],
  },
  {
    what: 'minProperties of a map',
    schema: { type: 'object', additionalProperties: { type: 'integer' }, minProperties: 1 },
    valid: ['{"x":1}', '{"x":1,"y":2}'],
    invalid: ['{}'],
  },
  {
    what: 'maxProperties of a map',
    schema: { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 2 },
    valid: ['{}', '{"x":1,"y":2}'],
    invalid: ['{"x":1,"y":2,"z":3}'],
  },
  {
    what: 'maxProperties 0',
    schema: { type: 'object', maxProperties: 0 },
    valid: ['{}'],
    invalid: ['{"a":1}'],
  },
  {
    what: 'a property that must not be there',
    schema: { type: 'object', properties: { a: false, b: { type: 'null' } } },
    valid: ['{}', '{"b":null}'],
    invalid: ['{"a":1}'],
  },
];

const ARRAYS: readonly Case[] = [
  {
    what: 'items',
    schema: { type: 'array', items: { type: 'integer' } },
    valid: ['[]', '[ ]', '[1]', '[1, 2]', '[\n  1,\n  2\n]'],
    invalid: ['["a"]', '[1,]', '[,1]', '[1 ,2]'],
  },
  {
    what: 'minItems',
    schema: { type: 'array', items: { type: 'null' }, minItems: 2 },
    valid: ['[null,null]', '[null,null,null]'],
    invalid: ['[]', '[null]'],
  },
  {
    what: 'maxItems',
    schema: { type: 'array', items: { type: 'null' }, maxItems: 2 },
    valid: ['[]', '[null]', '[null,null]'],
    invalid: ['[null,null,null]'],
  },
  { what: 'maxItems 0', schema: { type: 'array', maxItems: 0 }, valid: ['[]'], invalid: ['[1]'] },
  {
    what: 'prefixItems',
    schema: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }] },
    valid: ['[]', '[1]', '[1,"a"]'],
    invalid: ['["a"]', '[1,"a",2]'],
  },
  {
    what: 'prefixItems and items',
    schema: {
      type: 'array',
      prefixItems: [{ type: 'integer' }],
      items: { type: 'string' },
      minItems: 2,
      maxItems: 3,
    },
    valid: ['[1,"a"]', '[1,"a","b"]'],
    invalid: ['[1]', '[1,2]', '[1,"a","b","c"]'],
  },
  { what: 'items false', schema: { type: 'array', items: false }, valid: ['[]'], invalid: ['[1]'] },
];

const STRINGS: readonly Case[] = [
  {
    what: 'minLength and maxLength',
    schema: { type: 'string', minLength: 2, maxLength: 3 },
    valid: ['"ab"', '"abc"', '"😀😀"', '"\\n\\u00e9"'],
    invalid: ['"a"', '"abcd"', '"😀"'],
  },
  {
    what: 'a long maxLength',
    schema: { type: 'string', maxLength: 1998 },
    valid: ['""', `"${'x'.repeat(1998)}"`],
    invalid: [`"${'x'.repeat(1999)}"`],
  },
  {
    what: 'pattern',
    schema: { type: 'string', pattern: '^[A-Z]{2}-\\d+(\\.\\d{1,2})?$' },
    valid: ['"AB-1"', '"AB-12.34"'],
    invalid: ['"AB-"', '"A-1"', '"AB-1.234"', '"xAB-1"'],
  },
  {
    what: 'pattern with alternatives',
    schema: { type: 'string', pattern: '^(?:cat|car|(?<d>dog)s?)$' },
    valid: ['"cat"', '"car"', '"dogs"'],
    invalid: ['"ca"', '"cats"'],
  },
  {
    what: 'pattern with characters that JSON escapes',
    schema: { type: 'string', pattern: '^["\\\\\\n]+$' },
    valid: ['"\\""', '"\\\\\\n"'],
    invalid: ['"n"', '""'],
  },
  {
    what: 'pattern with negated classes',
    schema: { type: 'string', pattern: '^[^a-c].\\W$' },
    valid: ['"dx "', '"\\"\\\\-"', '"\\u0001é!"'],
    invalid: ['"ax "', '"d\\n "', '"dxa"'],
  },
  {
    what: 'format date',
    schema: { type: 'string', format: 'date' },
    valid: ['"2024-02-29"', '"2023-12-31"', '"2000-02-29"'],
    invalid: ['"2023-02-29"', '"1900-02-29"', '"2023-04-31"', '"2023-13-01"', '"2023-1-1"'],
  },
  {
    what: 'format time',
    schema: { type: 'string', format: 'time' },
    valid: ['"00:00:00Z"', '"23:59:59.123+02:00"'],
    invalid: ['"24:00:00Z"', '"10:00:00"', '"10:60:00Z"'],
  },
  {
    what: 'format date-time',
    schema: { type: 'string', format: 'date-time' },
    valid: ['"2024-02-29T10:20:30Z"'],
    invalid: ['"2024-02-30T10:20:30Z"', '"2024-02-29 10:20:30Z"'],
  },
  {
    what: 'format uuid',
    schema: { type: 'string', format: 'uuid' },
    valid: ['"123e4567-e89b-12d3-a456-426614174000"'],
    invalid: ['"123e4567e89b12d3a456426614174000"'],
  },
  {
    what: 'format ipv4',
    schema: { type: 'string', format: 'ipv4' },
    valid: ['"0.0.0.0"', '"255.249.199.9"'],
    invalid: ['"256.0.0.1"', '"1.2.3"', '"01.2.3.4"'],
  },
];

const NUMBERS: readonly Case[] = [
  {
    what: 'integer bounds',
    schema: { type: 'integer', minimum: -12, maximum: 345 },
    valid: ['-12', '-1', '0', '9', '10', '99', '345'],
    invalid: ['-13', '346', '1000', '-0', '00'],
  },
  {
    what: 'integer minimum alone',
    schema: { type: 'integer', minimum: 18 },
    valid: ['18', '100', '9007199254740991'],
    invalid: ['17', '-18', '9007199254740992'],
  },
  {
    what: 'integer maximum alone',
    schema: { type: 'integer', maximum: -3 },
    valid: ['-3', '-10', '-9007199254740991'],
    invalid: ['-2', '0', '3'],
  },
  {
    what: 'exclusive integer bounds',
    schema: { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 },
    valid: ['1', '9'],
    invalid: ['0', '10'],
  },
  {
    what: 'integer bounds with decimals',
    schema: { type: 'integer', minimum: 0.5, maximum: 2.5 },
    valid: ['1', '2'],
    invalid: ['0', '3'],
  },
  {
    what: 'integer bounds of 64 bits',
    schema: { type: 'integer', minimum: -(2 ** 63), maximum: 2 ** 63 },
    valid: ['0', '-5'],
    invalid: ['1.5'],
  },
  {
    what: 'number bounds',
    schema: { type: 'number', minimum: 0, maximum: 1 },
    valid: ['0', '0.25', '1', '1.0'],
    invalid: ['-0.1', '1.000001', '2', '1e0'],
  },
  {
    what: 'exclusive number bounds',
    schema: { type: 'number', exclusiveMinimum: -2, exclusiveMaximum: 1 },
    valid: ['-1.999999', '-0.5', '0', '0.999999'],
    invalid: ['-2', '-2.0', '1', '1.0'],
  },
  {
    what: 'number minimum alone',
    schema: { type: 'number', exclusiveMinimum: 0 },
    valid: ['0.000001', '12.5', '999999999999999'],
    invalid: ['0', '0.0', '-1'],
  },
];

const list = {
  $ref: '#/$defs/node',
  $defs: {
    node: {
      type: 'object',
      properties: {
        value: { type: 'integer' },
        next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
      },
      required: ['value', 'next'],
    },
  },
};
const shapes = [
  {
    type: 'object',
    properties: { kind: { const: 'circle' }, radius: { type: 'integer' } },
    required: ['kind', 'radius'],
  },
  {
    type: 'object',
    properties: { kind: { enum: ['square', 'cube'] }, side: { type: 'integer' } },
    required: ['kind', 'side'],
  },
];

const COMBINED: readonly Case[] = [
  {
    what: 'anyOf',
    schema: { anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 1 }] },
    valid: ['1', '"a"'],
    invalid: ['"ab"', 'null'],
  },
  {
    what: 'anyOf beside other keywords',
    schema: { type: 'object', properties: abc, anyOf: [{ required: ['a'] }, { required: ['b', 'c'] }] },
    valid: ['{"a":null}', '{"b":null,"c":null}'],
    invalid: ['{}', '{"b":null}'],
  },
  {
    what: 'anyOf with an impossible branch',
    schema: { anyOf: [false, { type: 'string', minLength: 3, maxLength: 2 }, { type: 'null' }] },
    valid: ['null'],
    invalid: ['""'],
  },
  {
    what: 'oneOf by values',
    schema: { oneOf: shapes },
    valid: ['{"kind":"circle","radius":1}', '{"kind":"cube","side":2}'],
    invalid: ['{"kind":"circle","side":1}', '{"kind":"x"}'],
  },
  {
    what: 'oneOf by types',
    schema: { oneOf: [{ type: 'string' }, { type: 'integer', maximum: 0 }, { type: 'integer', minimum: 1 }] },
    valid: ['"a"', '0', '1'],
    invalid: ['null'],
  },
  {
    what: 'allOf',
    schema: {
      allOf: [
        { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
        { properties: { b: { type: 'null' }, a: { minimum: 3 } }, required: ['b'] },
      ],
    },
    valid: ['{"a":3,"b":null}'],
    invalid: ['{"a":2,"b":null}', '{"a":3}'],
  },
  {
    what: 'allOf with closed objects',
    schema: {
      allOf: [
        {
          type: 'object',
          properties: { a: { type: 'null' }, b: { type: 'null' } },
          additionalProperties: false,
        },
        { properties: { b: true, c: true } },
      ],
    },
    valid: ['{}', '{"a":null,"b":null}'],
    invalid: ['{"c":1}', '{"b":1}'],
  },
  {
    what: 'anyOf within allOf',
    schema: {
      allOf: [
        { anyOf: [{ type: 'integer' }, { type: 'string' }] },
        { anyOf: [{ type: 'string' }, { type: 'null' }] },
      ],
    },
    valid: ['"a"'],
    invalid: ['1', 'null'],
  },
  {
    what: '$ref into $defs, recursive',
    schema: list,
    valid: ['{"value":1,"next":null}', '{"value":1,"next":{"value":2,"next":null}}'],
    invalid: ['{"value":1}', '{"value":1,"next":1}'],
  },
  {
    what: '$ref into definitions',
    schema: {
      type: 'array',
      items: { $ref: '#/definitions/a~1b%20c' },
      definitions: { 'a/b c': { type: 'null' } },
    },
    valid: ['[null]'],
    invalid: ['[1]'],
  },
  {
    what: '$ref to the root',
    schema: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } } },
    valid: ['{}', '{"children":[{},{"children":[]}]}'],
    invalid: ['{"children":[1]}'],
  },
  {
    what: '$ref beside other keywords',
    schema: { $ref: '#/$defs/short', minLength: 2, $defs: { short: { type: 'string', maxLength: 3 } } },
    valid: ['"ab"', '"abc"'],
    invalid: ['"a"', '"abcd"'],
  },
  {
    what: 'two references to one definition',
    schema: { allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }], $defs: { a: { type: 'null' } } },
    valid: ['null'],
    invalid: ['1'],
  },
  {
    what: 'recursion through two definitions',
    schema: {
      $ref: '#/$defs/a',
      $defs: {
        a: { type: 'array', items: { $ref: '#/$defs/b' } },
        b: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'null' }] },
      },
    },
    valid: ['[]', '[null,[[null]]]'],
    invalid: ['null', '[1]'],
  },
];

const ALL = [...TYPES, ...VALUES, ...OBJECTS, ...ARRAYS, ...STRINGS, ...NUMBERS, ...COMBINED];

describe('JSON Schema', () => {
  it.for(ALL)('$what', async ({ schema, valid, invalid }, context) => {
    const gbnf = schemaGrammar(schema);
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
