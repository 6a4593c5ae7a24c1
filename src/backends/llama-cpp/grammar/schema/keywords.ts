/**
 * Every keyword of JSON Schema that is known: its shape, and whether it is supported, ignored or rejected. The generated
 * reference is made from this table. A keyword that is not in it is rejected.
 */
export type KeywordShape =
  | 'anything'
  | 'text'
  | 'number'
  | 'count'
  | 'texts'
  | 'values'
  | 'types'
  | 'schema'
  | 'schemas'
  | 'named schemas';

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

export interface KeywordRule {
  readonly use: 'met' | 'ignored' | 'rejected';
  readonly shape: KeywordShape;
  /** The type of value that it applies to; absent: any. */
  readonly of?: JsonType;
  /** The one value with which a rejected keyword has no effect. */
  readonly unless?: unknown;
  /** What is supported, or why it is rejected: a sentence without its subject. */
  readonly note: string;
}

const met = (shape: KeywordShape, note: string, of?: JsonType): KeywordRule => ({
  use: 'met',
  shape,
  note,
  ...(of && { of }),
});
const ignored = (note = 'has no effect on what is valid'): KeywordRule => ({
  use: 'ignored',
  shape: 'anything',
  note,
});
const rejected = (note: string, unless?: false): KeywordRule => ({
  use: 'rejected',
  shape: 'anything',
  note,
  ...(unless === false && { unless }),
});

export const KEYWORDS: ReadonlyMap<string, KeywordRule> = new Map<string, KeywordRule>([
  ['type', met('types', 'one type, or a list of types')],
  ['enum', met('values', 'any JSON values; objects and arrays are written without whitespace')],
  ['const', met('anything', 'any JSON value; objects and arrays are written without whitespace')],
  ['anyOf', met('schemas', 'each branch together with the keywords beside it')],
  [
    'oneOf',
    met(
      'schemas',
      'where the branches visibly exclude one another: by type, listed values, range, or a required property whose values differ so',
    ),
  ],
  ['allOf', met('schemas', 'the parts are merged; what cannot be merged exactly is rejected')],
  [
    '$ref',
    met(
      'text',
      '`#` and pointers into the same schema (`#/$defs/…`, `#/definitions/…`), recursion included; keywords beside it count',
    ),
  ],
  ['$defs', met('named schemas', 'what `$ref` points at')],
  ['definitions', met('named schemas', 'as `$defs`')],

  ['properties', met('named schemas', 'written in the order in which they are declared', 'object')],
  ['required', met('texts', 'a property that is not named here may be left out', 'object')],
  [
    'additionalProperties',
    met(
      'schema',
      'false, true or a schema, for properties that follow the declared ones; if absent, none are allowed beside `properties`',
      'object',
    ),
  ],
  [
    'minProperties',
    met('count', 'where the declared properties can meet it, or one additional property', 'object'),
  ],
  ['maxProperties', met('count', 'any', 'object')],

  ['items', met('schema', 'one schema; any values if absent, none if absent beside `prefixItems`', 'array')],
  ['prefixItems', met('schemas', 'the first items; `minItems` says how many must be there', 'array')],
  ['minItems', met('count', 'up to the limit of repetitions', 'array')],
  ['maxItems', met('count', 'up to the limit of repetitions', 'array')],

  ['minLength', met('count', 'up to the limit of repetitions; not beside `pattern` or `format`', 'string')],
  ['maxLength', met('count', 'up to the limit of repetitions; not beside `pattern` or `format`', 'string')],
  [
    'pattern',
    met(
      'text',
      'from `^` to `$`: characters, classes, groups, alternatives, greedy quantifiers; no look-around, back reference or `\\b`',
      'string',
    ),
  ],
  ['format', met('text', 'date, time, date-time, uuid, ipv4; others are rejected', 'string')],

  [
    'minimum',
    met('number', 'any for integers; whole numbers up to a thousand million for numbers', 'number'),
  ],
  ['maximum', met('number', 'as `minimum`', 'number')],
  ['exclusiveMinimum', met('number', 'as `minimum`; a number, not true or false', 'number')],
  ['exclusiveMaximum', met('number', 'as `minimum`; a number, not true or false', 'number')],

  ['title', ignored()],
  ['description', ignored()],
  ['default', ignored()],
  ['example', ignored()],
  ['examples', ignored()],
  ['deprecated', ignored()],
  ['readOnly', ignored()],
  ['writeOnly', ignored()],
  ['$schema', ignored()],
  ['$id', ignored('references are resolved within the schema alone')],
  ['$comment', ignored()],
  ['discriminator', ignored('a hint of OpenAPI; the branches themselves decide')],

  ['multipleOf', rejected('a grammar cannot divide; ask for an integer, or list the values in enum')],
  [
    'uniqueItems',
    rejected('a grammar does not remember the items it has seen; remove it and check the answer', false),
  ],
  ['contains', rejected('use items')],
  ['minContains', rejected('use items')],
  ['maxContains', rejected('use items')],
  ['unevaluatedItems', rejected('use items and prefixItems')],
  ['additionalItems', rejected('use prefixItems for the first items and items for the rest')],
  ['patternProperties', rejected('use additionalProperties')],
  ['propertyNames', rejected('use properties')],
  ['unevaluatedProperties', rejected('use additionalProperties')],
  ['dependentRequired', rejected('use anyOf')],
  ['dependentSchemas', rejected('use anyOf')],
  ['dependencies', rejected('use anyOf')],
  ['not', rejected('a grammar describes what is allowed, not what is forbidden')],
  ['if', rejected('use anyOf')],
  ['then', rejected('use anyOf')],
  ['else', rejected('use anyOf')],
  ['nullable', rejected('use a list of types, such as ["string", "null"]', false)],
  ['contentEncoding', rejected('describe the text with pattern')],
  ['contentMediaType', rejected('describe the text with pattern')],
  ['contentSchema', rejected('describe the text with pattern')],
  ['$anchor', rejected('use $defs and a pointer')],
  ['$dynamicRef', rejected('use $ref')],
  ['$dynamicAnchor', rejected('use $ref')],
  ['$recursiveRef', rejected('use $ref')],
  ['$vocabulary', rejected('it belongs to meta-schemas')],
]);
