/** Examples of objects and arrays. */
import type { SchemaCase } from './schema-case.ts';

const text = (value: unknown) => JSON.stringify(value);
const abc = { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } };
export const OBJECTS: readonly SchemaCase[] = [
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

export const ARRAYS: readonly SchemaCase[] = [
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
