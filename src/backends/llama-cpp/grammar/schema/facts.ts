/**
 * What several schemas demand together, of one value: the narrowest of each bound, the types and values that all of
 * them allow. Objects and arrays keep their schemas side by side; their parts are put together where they are written.
 */

import { SCHEMA_LIMITS } from '../limits.ts';
import { comparableText, isShallow, kindOf, lengthOf } from './json-values.ts';
import { KEYWORDS, type Kind } from './keywords.ts';
import { Contradiction, type Pointer, SchemaProblem } from './problem.ts';
import type { Place, SchemaNode } from './reader.ts';

export interface ReadSchema {
  readonly place: Place;
  readonly node: SchemaNode;
}

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

export interface Facts {
  readonly kinds: ReadonlySet<Kind>;
  /** Numbers must be whole. */
  readonly whole: boolean;
  /** The values that enum and const leave; absent where there is neither. */
  readonly values: readonly unknown[] | undefined;
  readonly lower: Bound | undefined;
  readonly upper: Bound | undefined;
  readonly minLength: number;
  readonly maxLength: number | undefined;
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}

const KINDS: readonly Kind[] = ['object', 'array', 'string', 'number', 'boolean', 'null'];
/** What cannot be checked on a listed value without more than a grammar's own means. */
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

export function factsOf(schemas: readonly ReadSchema[], at: Pointer): Facts {
  const nodes = schemas.map(({ node }) => node);
  const facts: Facts = {
    kinds: kindsOf(nodes),
    whole: nodes.some(({ type }) => type !== undefined && !typesOf(type).includes('number')),
    values: valuesOf(schemas),
    lower: narrowest(nodes, { open: 'exclusiveMinimum', closed: 'minimum', sign: 1 }),
    upper: narrowest(nodes, { open: 'exclusiveMaximum', closed: 'maximum', sign: -1 }),
    minLength: Math.max(0, ...nodes.flatMap(({ minLength }) => minLength ?? [])),
    maxLength: smallest(nodes.flatMap(({ maxLength }) => maxLength ?? [])),
    patterns: distinct(nodes.flatMap(({ pattern }) => pattern ?? [])),
    formats: distinct(nodes.flatMap(({ format }) => format ?? [])),
  };
  if (facts.values === undefined) return facts;
  refuseBesideValues(schemas);
  const values = facts.values.filter((value) => meets(value, facts));
  if (values.length === 0)
    throw new Contradiction(
      at,
      nodes.some((node) => 'const' in node) ? 'const' : 'enum',
      'has no value that the other keywords allow.',
    );
  return { ...facts, values };
}

function typesOf(type: string | readonly string[]): readonly string[] {
  return typeof type === 'string' ? [type] : type;
}

export function smallest(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

/** Without a type, the keywords tell which kinds are meant; without those either, any. */
function kindsOf(nodes: readonly SchemaNode[]): ReadonlySet<Kind> {
  const typed = nodes.filter(({ type }) => type !== undefined);
  if (typed.length === 0) {
    const listed = nodes.some((node) => node.enum !== undefined || 'const' in node);
    const meant = nodes.flatMap((node) =>
      Object.keys(node).flatMap((keyword) => KEYWORDS.get(keyword)?.of ?? []),
    );
    return new Set(listed || meant.length === 0 ? KINDS : meant);
  }
  const allowed = typed.map(({ type }) =>
    typesOf(type as string | readonly string[]).map((name) => (name === 'integer' ? 'number' : name)),
  );
  return new Set(KINDS.filter((kind) => allowed.every((kinds) => kinds.includes(kind))));
}

function valuesOf(schemas: readonly ReadSchema[]): readonly unknown[] | undefined {
  const lists = schemas.flatMap(({ place, node }) => [
    ...(node.enum === undefined ? [] : [bounded(place, 'enum', node.enum)]),
    ...('const' in node ? [bounded(place, 'const', [node.const])] : []),
  ]);
  const [first, ...others] = lists;
  if (first === undefined) return undefined;
  const texts = others.map((values) => new Set(values.map(comparableText)));
  const unique = new Map(first.map((value) => [comparableText(value), value]));
  return Array.from(unique).flatMap(([text, value]) => (texts.every((set) => set.has(text)) ? [value] : []));
}

function bounded({ pointer }: Place, keyword: string, values: readonly unknown[]): readonly unknown[] {
  if (values.length > SCHEMA_LIMITS.enumValues)
    throw new SchemaProblem(
      pointer,
      keyword,
      `has ${values.length} values. At most ${SCHEMA_LIMITS.enumValues} are allowed.`,
    );
  if (!isShallow(values)) throw new SchemaProblem(pointer, keyword, 'has values that are nested too deep.');
  const characters = JSON.stringify(values).length;
  if (characters > SCHEMA_LIMITS.enumCharacters)
    throw new SchemaProblem(
      pointer,
      keyword,
      `has ${characters} characters. At most ${SCHEMA_LIMITS.enumCharacters} are allowed.`,
    );
  return values;
}

function refuseBesideValues(schemas: readonly ReadSchema[]): void {
  for (const { place, node } of schemas) {
    const keyword = NOT_BESIDE_VALUES.find((name) => node[name] !== undefined);
    if (keyword !== undefined)
      throw new SchemaProblem(
        place.pointer,
        keyword,
        'is not supported beside enum or const; list only the values that are meant.',
      );
  }
}

function meets(value: unknown, { kinds, whole, lower, upper, minLength, maxLength }: Facts): boolean {
  if (!kinds.has(kindOf(value))) return false;
  if (typeof value === 'number') {
    if (whole && !Number.isInteger(value)) return false;
    if (lower && (lower.exclusive ? value <= lower.value : value < lower.value)) return false;
    return !(upper && (upper.exclusive ? value >= upper.value : value > upper.value));
  }
  if (typeof value !== 'string') return true;
  const length = lengthOf(value);
  return length >= minLength && length <= (maxLength ?? length);
}

interface BoundKeywords {
  readonly open: 'exclusiveMinimum' | 'exclusiveMaximum';
  readonly closed: 'minimum' | 'maximum';
  /** 1 where the largest is the narrowest, −1 where the smallest is. */
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
