/**
 * Conjunctions: lists of schemas that one value must meet. `flatten` follows `$ref` and `allOf` to their ends, so that
 * plain keywords and open choices are left. `mergeSchemas` merges the keywords: the narrowest of each bound, the types and
 * values that all allow. Objects and arrays keep their schemas side by side; their parts are merged where they are written.
 */
import type { GrammarBuilder } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { type JsonType, KEYWORDS } from './keywords.ts';
import {
  Contradiction,
  child,
  locationKey,
  type Pointer,
  SchemaError,
  type SchemaLocation,
  type SchemaNode,
  type SchemaReader,
} from './reader.ts';

type ChoiceKeyword = 'anyOf' | 'oneOf';

/** A schema, and which of its choices are decided. */
export interface Conjunct {
  readonly location: SchemaLocation;
  readonly decided: readonly ChoiceKeyword[];
  /** Keys of the schemas whose choices led here. Leading back to one of them is a cycle. */
  readonly via: readonly string[];
}

export function conjunctFor(location: SchemaLocation, via: readonly string[] = []): Conjunct {
  return { location, decided: [], via };
}

export interface OpenChoice {
  readonly conjunct: Conjunct;
  readonly keyword: ChoiceKeyword;
  readonly branches: readonly unknown[];
}

export interface Conjunction {
  /** The same for the same schemas in any order. */
  readonly key: string;
  readonly conjuncts: readonly Conjunct[];
  /** Those with keywords of their own. */
  readonly schemas: readonly LocatedSchema[];
  readonly choices: readonly OpenChoice[];
}

const CHOICES: readonly ChoiceKeyword[] = ['anyOf', 'oneOf'];
/** Keywords that add schemas to the list, and those that only hold schemas to refer to. */
const STRUCTURE = new Set(['$ref', 'allOf', 'anyOf', 'oneOf', '$defs', 'definitions']);

export function flatten(conjuncts: readonly Conjunct[], reader: SchemaReader): Conjunction {
  const given = new Map(conjuncts.map((conjunct) => [locationKey(conjunct.location), conjunct]));
  const found = new Map<string, Conjunct>();
  const schemas: LocatedSchema[] = [];
  const choices: OpenChoice[] = [];
  const follow = (location: SchemaLocation, via: readonly string[], path: readonly string[]): void => {
    const key = locationKey(location);
    const conjunct = given.get(key) ?? conjunctFor(location, via);
    if (path.includes(key) || via.includes(key))
      throw new SchemaError(location.pointer, '$ref', 'leads back to itself without ever reaching a value.');
    if (path.length >= SCHEMA_LIMITS.depth)
      throw new SchemaError(
        location.pointer,
        undefined,
        `is reached through more than ${SCHEMA_LIMITS.depth} references and allOfs in a row.`,
      );
    if (found.has(key)) return;
    const node = reader.read(location);
    if (node === false)
      throw new Contradiction(location.pointer, undefined, 'is false: no value is allowed.');
    found.set(key, conjunct);
    if (found.size > SCHEMA_LIMITS.merged)
      throw new SchemaError(
        location.pointer,
        undefined,
        `makes one value meet more than ${SCHEMA_LIMITS.merged} schemas.`,
      );
    if (Object.keys(node).some((keyword) => !STRUCTURE.has(keyword))) schemas.push({ location, node });
    for (const keyword of CHOICES) {
      const branches = node[keyword];
      if (branches !== undefined && !conjunct.decided.includes(keyword))
        choices.push({ conjunct, keyword, branches });
    }
    const deeper = [...path, key];
    if (node.$ref !== undefined) follow(reader.resolve(location.pointer, node.$ref), via, deeper);
    for (const index of node.allOf?.keys() ?? []) follow(child(location, 'allOf', index), via, deeper);
  };
  for (const { location, via } of conjuncts) follow(location, via, []);
  const counted = [
    ...schemas.map(({ location }) => locationKey(location)),
    ...choices.map(({ conjunct, keyword }) => `${locationKey(conjunct.location)} ${keyword}`),
  ];
  return { key: [...new Set(counted)].sort().join('\n'), conjuncts: [...found.values()], schemas, choices };
}

export interface LocatedSchema {
  readonly location: SchemaLocation;
  readonly node: SchemaNode;
}

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

export interface MergedSchema {
  readonly types: ReadonlySet<JsonType>;
  /** Numbers must be integers. */
  readonly integer: boolean;
  /** The values that enum and const allow; undefined where there is neither. */
  readonly values: readonly unknown[] | undefined;
  readonly lower: Bound | undefined;
  readonly upper: Bound | undefined;
  readonly minLength: number;
  readonly maxLength: number | undefined;
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}

const JSON_TYPES: readonly JsonType[] = ['object', 'array', 'string', 'number', 'boolean', 'null'];
/** Keywords that are not checked on listed values. */
const NOT_BESIDE_VALUES = [
  'pattern',
  'format',
  'properties',
  'required',
  'additionalProperties',
  'minProperties',
  'maxProperties',
  'items',
  'prefixItems',
  'minItems',
  'maxItems',
] as const;

export function mergeSchemas(schemas: readonly LocatedSchema[], at: Pointer): MergedSchema {
  const nodes = schemas.map(({ node }) => node);
  const merged: MergedSchema = {
    types: jsonTypesOf(nodes),
    integer: nodes.some(({ type }) => type !== undefined && !typesOf(type).includes('number')),
    values: valuesOf(schemas),
    lower: narrowest(nodes, { open: 'exclusiveMinimum', closed: 'minimum', sign: 1 }),
    upper: narrowest(nodes, { open: 'exclusiveMaximum', closed: 'maximum', sign: -1 }),
    minLength: Math.max(0, ...nodes.flatMap(({ minLength }) => minLength ?? [])),
    maxLength: smallest(nodes.flatMap(({ maxLength }) => maxLength ?? [])),
    patterns: distinct(nodes.flatMap(({ pattern }) => pattern ?? [])),
    formats: distinct(nodes.flatMap(({ format }) => format ?? [])),
  };
  if (merged.values === undefined) return merged;
  rejectBesideValues(schemas);
  const values = merged.values.filter((value) => meets(value, merged));
  if (values.length === 0)
    throw new Contradiction(
      at,
      nodes.some((node) => 'const' in node) ? 'const' : 'enum',
      'has no value that the other keywords allow.',
    );
  return { ...merged, values };
}

function typesOf(type: string | readonly string[]): readonly string[] {
  return typeof type === 'string' ? [type] : type;
}

export function smallest(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

/** Without `type`, the keywords imply the types; without such keywords, any type. */
function jsonTypesOf(nodes: readonly SchemaNode[]): ReadonlySet<JsonType> {
  const typed = nodes.filter(({ type }) => type !== undefined);
  if (typed.length === 0) {
    const listed = nodes.some((node) => node.enum !== undefined || 'const' in node);
    const meant = nodes.flatMap((node) =>
      Object.keys(node).flatMap((keyword) => KEYWORDS.get(keyword)?.of ?? []),
    );
    return new Set(listed || meant.length === 0 ? JSON_TYPES : meant);
  }
  const allowed = typed.map(({ type }) =>
    typesOf(type as string | readonly string[]).map((name) => (name === 'integer' ? 'number' : name)),
  );
  return new Set(JSON_TYPES.filter((kind) => allowed.every((kinds) => kinds.includes(kind))));
}

function valuesOf(schemas: readonly LocatedSchema[]): readonly unknown[] | undefined {
  const lists = schemas.flatMap(({ location, node }) => [
    ...(node.enum === undefined ? [] : [bounded(location, 'enum', node.enum)]),
    ...('const' in node ? [bounded(location, 'const', [node.const])] : []),
  ]);
  const [first, ...others] = lists;
  if (first === undefined) return undefined;
  const texts = others.map((values) => new Set(values.map(canonicalJson)));
  const unique = new Map(first.map((value) => [canonicalJson(value), value]));
  return Array.from(unique).flatMap(([text, value]) => (texts.every((set) => set.has(text)) ? [value] : []));
}

function bounded(
  { pointer }: SchemaLocation,
  keyword: string,
  values: readonly unknown[],
): readonly unknown[] {
  if (values.length > SCHEMA_LIMITS.enumValues)
    throw new SchemaError(
      pointer,
      keyword,
      `has ${values.length} values. At most ${SCHEMA_LIMITS.enumValues} are allowed.`,
    );
  if (!isShallow(values)) throw new SchemaError(pointer, keyword, 'has values that are nested too deep.');
  const characters = JSON.stringify(values).length;
  if (characters > SCHEMA_LIMITS.enumCharacters)
    throw new SchemaError(
      pointer,
      keyword,
      `has ${characters} characters. At most ${SCHEMA_LIMITS.enumCharacters} are allowed.`,
    );
  return values;
}

function rejectBesideValues(schemas: readonly LocatedSchema[]): void {
  for (const { location, node } of schemas) {
    const keyword = NOT_BESIDE_VALUES.find((name) => node[name] !== undefined);
    if (keyword !== undefined)
      throw new SchemaError(
        location.pointer,
        keyword,
        'is not supported beside enum or const; list only the values that are meant.',
      );
  }
}

function meets(
  value: unknown,
  { types, integer, lower, upper, minLength, maxLength }: MergedSchema,
): boolean {
  if (!types.has(jsonTypeOf(value))) return false;
  if (typeof value === 'number') {
    if (integer && !Number.isInteger(value)) return false;
    if (lower && (lower.exclusive ? value <= lower.value : value < lower.value)) return false;
    return !(upper && (upper.exclusive ? value >= upper.value : value > upper.value));
  }
  if (typeof value !== 'string') return true;
  const length = codePointCount(value);
  return length >= minLength && length <= (maxLength ?? length);
}

interface BoundKeywords {
  readonly open: 'exclusiveMinimum' | 'exclusiveMaximum';
  readonly closed: 'minimum' | 'maximum';
  /** 1 for lower bounds, -1 for upper bounds. */
  readonly sign: 1 | -1;
}

function narrowest(nodes: readonly SchemaNode[], { open, closed, sign }: BoundKeywords): Bound | undefined {
  const bounds = nodes.flatMap((node): Bound[] => [
    ...(node[open] === undefined ? [] : [{ value: node[open], exclusive: true }]),
    ...(node[closed] === undefined ? [] : [{ value: node[closed], exclusive: false }]),
  ]);
  return bounds.reduce<Bound | undefined>((best, bound) => {
    if (best === undefined) return bound;
    const difference = sign * (bound.value - best.value);
    return difference > 0 || (difference === 0 && bound.exclusive) ? bound : best;
  }, undefined);
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}

/** Deeper values are rejected before anything recursive reads them. */
const MAX_DEPTH = 32;

/** Whether the value is nested no deeper than MAX_DEPTH. */
function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return false;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return true;
}

/** The same text for equal values, whatever the order of their properties. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(Object.is(value, -0) ? 0 : value);
  const entries = Object.entries(value).map(
    ([name, item]) => `${JSON.stringify(name)}:${canonicalJson(item)}`,
  );
  return `{${entries.sort().join(',')}}`;
}

export function jsonTypeOf(value: unknown): 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null' {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as 'object' | 'string' | 'number' | 'boolean';
}

/** The length as JSON Schema counts it. */
function codePointCount(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** Compiles the parts of a value. */
export interface RuleCompiler {
  readonly builder: GrammarBuilder;
  /** The name of the rule for a value that meets all the schemas. */
  ruleFor(locations: readonly SchemaLocation[], hint: string): string;
}

/** What the writer of a type is given: the schemas that the value must meet, and the compiler for its parts. */
export interface WriteContext {
  readonly schemas: readonly LocatedSchema[];
  readonly at: Pointer;
  readonly compiler: RuleCompiler;
}
