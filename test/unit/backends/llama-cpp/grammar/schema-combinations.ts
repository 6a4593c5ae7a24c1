/** Examples of choices, merged schemas and references. */
import type { SchemaCase } from './schema-case.ts';

const abc = { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } };
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

export const COMBINED: readonly SchemaCase[] = [
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
