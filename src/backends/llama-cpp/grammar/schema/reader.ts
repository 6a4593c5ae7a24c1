/**
 * Reads one schema of a document: checks its keywords and the shape of each, and resolves references. A schema that is
 * referred to often is checked once.
 */
import { ServingError } from '../../../../core/errors.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { KEYWORDS, type KeywordRule, type KeywordShape } from './keywords.ts';

/** The supported keywords of a schema; their shapes have been checked. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly unknown[];
  readonly oneOf?: readonly unknown[];
  readonly allOf?: readonly unknown[];
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[] | undefined;
  readonly additionalProperties?: unknown;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: unknown;
  readonly prefixItems?: readonly unknown[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** A schema and its pointer, which is different for each schema of a document. */
export interface SchemaLocation {
  readonly pointer: Pointer;
  readonly schema: unknown;
}

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSchema = (value: unknown) => typeof value === 'boolean' || isObject(value);
const isListOf = (value: unknown, is: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(is);
const isText = (value: unknown) => typeof value === 'string';
const isType = (value: unknown) => TYPES.some((type) => type === value);

const SHAPES: Readonly<
  Record<KeywordShape, { readonly is: (value: unknown) => boolean; readonly words: string }>
> = {
  anything: { is: () => true, words: 'anything' },
  text: { is: isText, words: 'a string' },
  number: { is: (value) => Number.isFinite(value), words: 'a number' },
  count: {
    is: (value) => Number.isInteger(value) && Number(value) >= 0,
    words: 'a whole number of at least 0',
  },
  texts: { is: (value) => isListOf(value, isText), words: 'a list of strings' },
  values: {
    is: (value) => Array.isArray(value) && value.length > 0,
    words: 'a list of at least one value',
  },
  types: {
    is: (value) => isType(value) || (isListOf(value, isType) && (value as unknown[]).length > 0),
    words: `one of ${TYPES.join(', ')}, or a list of them`,
  },
  schema: { is: isSchema, words: 'a schema: an object, true or false' },
  schemas: {
    is: (value) => isListOf(value, isSchema) && (value as unknown[]).length > 0,
    words: 'a list of at least one schema',
  },
  'named schemas': {
    is: (value) => isObject(value) && Object.values(value).every(isSchema),
    words: 'an object whose values are schemas',
  },
};

export class SchemaReader {
  readonly #document: unknown;
  readonly #checked = new Map<unknown, SchemaNode>();

  constructor(document: unknown) {
    this.#document = document;
  }

  /** `true` and `{}` alike allow anything; false allows nothing. */
  read({ pointer, schema }: SchemaLocation): SchemaNode | false {
    if (typeof schema === 'boolean') return schema ? {} : false;
    if (!isObject(schema)) throw new SchemaError(pointer, undefined, 'must be an object, true or false.');
    const known = this.#checked.get(schema);
    if (known !== undefined) return known;
    const node: Record<string, unknown> = {};
    for (const [keyword, value] of Object.entries(schema)) {
      const rule = checkedRule(pointer, keyword, value);
      if (rule.use === 'met') node[keyword] = value;
    }
    this.#checked.set(schema, node);
    return node;
  }

  resolve(from: Pointer, reference: string): SchemaLocation {
    const problem = (reason: string) => new SchemaError(from, '$ref', reason);
    if (reference !== '#' && !reference.startsWith('#/'))
      throw problem('must be # or a pointer into the same schema, such as #/$defs/name.');
    const pointer = reference.split('/').slice(1).map(unescapeSegment);
    let schema = this.#document;
    for (const segment of pointer) {
      if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, segment))
        throw problem('points at nothing.');
      schema = (schema as Record<string, unknown>)[segment];
    }
    if (!isSchema(schema)) throw problem('points at something that is not a schema.');
    return { pointer, schema };
  }
}

export function child(
  { pointer, schema }: SchemaLocation,
  ...segments: readonly (string | number)[]
): SchemaLocation {
  let at = schema;
  for (const segment of segments) at = (at as Record<string | number, unknown>)[segment];
  return { pointer: [...pointer, ...segments.map(String)], schema: at };
}

/** Different for each location. */
export function locationKey({ pointer }: SchemaLocation): string {
  return pointerText(pointer);
}

function checkedRule(pointer: Pointer, keyword: string, value: unknown): KeywordRule {
  const rule = KEYWORDS.get(keyword);
  const name = keyword.length > 60 ? `${keyword.slice(0, 60)}…` : keyword;
  if (rule === undefined)
    throw new SchemaError(
      pointer,
      name,
      `is not supported. Supported are ${supportedKeywords().join(', ')}; annotations such as title and description are ignored.`,
    );
  if (rule.use === 'rejected' && (rule.unless === undefined || value !== rule.unless))
    throw new SchemaError(pointer, name, `is not supported: ${rule.note}.`);
  if (keyword === 'items' && Array.isArray(value))
    throw new SchemaError(
      pointer,
      name,
      'is a list. Use prefixItems for the first items and items for the rest.',
    );
  if (!SHAPES[rule.shape].is(value))
    throw new SchemaError(pointer, name, `must be ${SHAPES[rule.shape].words}.`);
  return rule;
}

function supportedKeywords(): readonly string[] {
  return Array.from(KEYWORDS).flatMap(([keyword, { use }]) => (use === 'met' ? [keyword] : []));
}

function unescapeSegment(segment: string): string {
  let decoded = segment;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    // A lone percent sign stands for itself.
  }
  return decoded.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** From the root of the schema: `['properties', 'age']`. */
export type Pointer = readonly string[];

/** What is wrong with a schema, and where. */
export class SchemaError extends Error {
  readonly pointer: Pointer;
  /** The keyword at fault, if it is one. */
  readonly keyword: string | undefined;

  constructor(pointer: Pointer, keyword: string | undefined, reason: string) {
    super(reason);
    this.pointer = pointer;
    this.keyword = keyword;
  }

  movedTo(pointer: Pointer): SchemaError {
    return new SchemaError(pointer, this.keyword, this.message);
  }
}

/** No value meets the schema. As one branch of several it is left out. */
export class Contradiction extends SchemaError {
  override movedTo(pointer: Pointer): Contradiction {
    return new Contradiction(pointer, this.keyword, this.message);
  }
}

/** As JSON Pointer: `#/properties/age`. */
function pointerText(pointer: Pointer): string {
  return ['#', ...pointer.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}

/** `param`: the field of the request that holds the schema. The error's own is `format.properties.age.multipleOf`. */
export function requestErrorOf({ pointer, keyword, message }: SchemaError, param: string): ServingError {
  const subject = keyword === undefined ? 'This schema' : keyword;
  return new ServingError('invalid_request', {
    message: `${subject} at ${shortened(pointerText(pointer))} of ${param} ${message}`,
    param: shortened([param, ...pointer, ...(keyword === undefined ? [] : [keyword])].join('.')),
  });
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Throws for the first of these keywords that repeats something too often. */
export function checkRepetitions(at: Pointer, counts: Readonly<Record<string, number | undefined>>): void {
  for (const [keyword, value = 0] of Object.entries(counts))
    if (value > SCHEMA_LIMITS.repetitions)
      throw new SchemaError(at, keyword, `is ${value}. At most ${SCHEMA_LIMITS.repetitions} is allowed.`);
}
