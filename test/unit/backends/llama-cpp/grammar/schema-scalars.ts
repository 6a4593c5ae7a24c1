/** Examples of types, listed values, strings and numbers. */
import type { SchemaCase } from './schema-case.ts';

export const TYPES: readonly SchemaCase[] = [
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

export const VALUES: readonly SchemaCase[] = [
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

export const STRINGS: readonly SchemaCase[] = [
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

export const NUMBERS: readonly SchemaCase[] = [
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
