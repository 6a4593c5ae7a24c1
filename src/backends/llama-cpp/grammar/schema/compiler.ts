/**
 * Turns the schemas of one document into rules. What is compiled is always a list of schemas that one value must meet
 * together: `$ref` and `allOf` put schemas into the list, `anyOf` and `oneOf` make one list for each branch. Equal
 * lists share one rule, which is also how recursion ends.
 */

import { anyOfTexts, choice, type GrammarBuilder } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { writeArray } from './arrays.ts';
import {
  type Bound,
  type Conjunct,
  type Conjunction,
  canonicalJson,
  conjunctFor,
  flatten,
  jsonTypeOf,
  type LocatedSchema,
  type MergedSchema,
  mergeSchemas,
  type OpenChoice,
  type RuleCompiler,
  type WriteContext,
} from './conjunction.ts';
import type { JsonType } from './keywords.ts';
import { writeNumber } from './numbers.ts';
import { writeObject } from './objects.ts';
import {
  Contradiction,
  child,
  locationKey,
  type Pointer,
  SchemaError,
  type SchemaLocation,
  SchemaReader,
} from './reader.ts';
import { writeString } from './strings.ts';

type WritePart = (facts: MergedSchema, part: WriteContext) => string;

const PARTS: Readonly<Record<JsonType, WritePart>> = {
  object: (_, part) => writeObject(part),
  array: (_, part) => writeArray(part),
  string: (facts, { at, compiler }) => writeString(facts, { at, builder: compiler.builder }),
  number: (facts, { at, compiler }) => writeNumber(facts, { at, builder: compiler.builder }),
  boolean: (_, { compiler }) => compiler.builder.json('boolean'),
  null: (_, { compiler }) => compiler.builder.json('null'),
};

export class SchemaCompiler implements RuleCompiler {
  readonly builder: GrammarBuilder;
  readonly #reader: SchemaReader;
  readonly #root: SchemaLocation;
  readonly #rules = new Map<string, string | Contradiction>();
  readonly #comparisons = { left: SCHEMA_LIMITS.comparisons };
  #depth = 0;
  #merged = 0;

  constructor(document: unknown, builder: GrammarBuilder) {
    this.builder = builder;
    this.#reader = new SchemaReader(document);
    this.#root = { pointer: [], schema: document };
  }

  /** The name of the rule for the whole document. */
  root(hint: string): string {
    return this.ruleFor([this.#root], hint);
  }

  /** The types of value that the whole document may allow. */
  types(): ReadonlySet<JsonType> {
    const { schemas } = flatten([conjunctFor(this.#root)], this.#reader);
    return mergeSchemas(schemas, []).types;
  }

  ruleFor(places: readonly SchemaLocation[], hint: string): string {
    return this.#ruleFor(
      places.map((place) => conjunctFor(place)),
      hint,
    );
  }

  #ruleFor(demands: readonly Conjunct[], hint: string): string {
    const at = demands[0]?.place.pointer ?? [];
    const flat = flatten(demands, this.#reader);
    if (flat.schemas.length === 0 && flat.choices.length === 0) return this.builder.json('value');
    const known = this.#rules.get(flat.key);
    if (known instanceof Contradiction) throw known;
    if (known !== undefined) return known;
    if (this.#rules.size >= SCHEMA_LIMITS.rules)
      throw new SchemaError(
        at,
        undefined,
        `makes more than ${SCHEMA_LIMITS.rules} rules; use fewer different parts.`,
      );
    if (this.#depth >= SCHEMA_LIMITS.referenceDepth)
      throw new SchemaError(
        at,
        undefined,
        `is nested more than ${SCHEMA_LIMITS.referenceDepth} deep, references included.`,
      );
    this.#merged += flat.schemas.length + flat.choices.length;
    if (this.#merged > SCHEMA_LIMITS.mergedInAll)
      throw new SchemaError(
        at,
        undefined,
        'multiplies: its parts are put together in too many ways; use fewer choices side by side.',
      );
    const name = this.builder.reserve(hint);
    this.#rules.set(flat.key, name);
    this.#depth += 1;
    try {
      this.builder.define(name, this.#body(flat, { at, hint }));
    } catch (thrown) {
      const problem = located(thrown, { at, schemas: flat.schemas });
      if (problem instanceof Contradiction) this.#rules.set(flat.key, problem);
      throw problem;
    } finally {
      this.#depth -= 1;
    }
    return name;
  }

  #body(flat: Conjunction, { at, hint }: { readonly at: Pointer; readonly hint: string }): string {
    const [first] = flat.choices;
    if (first !== undefined) return this.#branches(first, { flat, hint });
    const facts = mergeSchemas(flat.schemas, at);
    if (facts.values !== undefined)
      return anyOfTexts(
        facts.values.map((value) => JSON.stringify(value)),
        this.builder,
      );
    if (facts.types.size === 0) throw new Contradiction(at, 'type', 'leaves no type that all parts allow.');
    return this.#kinds(facts, { schemas: flat.schemas, at, compiler: this });
  }

  /** Kinds that no value can meet drop out, unless none is left. */
  #kinds(facts: MergedSchema, part: WriteContext): string {
    return choice(possible(Array.from(facts.types), (kind) => PARTS[kind](facts, part)));
  }

  #branches(
    { demand, keyword, branches }: OpenChoice,
    { flat, hint }: { readonly flat: Conjunction; readonly hint: string },
  ): string {
    const { place } = demand;
    if (branches.length > SCHEMA_LIMITS.branches)
      throw new SchemaError(
        place.pointer,
        keyword,
        `has ${branches.length} branches. At most ${SCHEMA_LIMITS.branches} are allowed.`,
      );
    const key = locationKey(place);
    const rest = flat.conjuncts.map((other) =>
      locationKey(other.place) === key ? { ...other, decided: [...other.decided, keyword] } : other,
    );
    const withBranch = (index: number): readonly Conjunct[] => [
      ...rest,
      conjunctFor(child(place, keyword, index), [...demand.via, key]),
    ];
    if (keyword === 'oneOf')
      checkExclusive(place, {
        branches: branches.map((_, index) => withBranch(index)),
        reader: this.#reader,
        comparisons: this.#comparisons,
      });
    const names = possible(Array.from(branches.keys()), (index) => this.#ruleFor(withBranch(index), hint));
    return choice([...new Set(names)]);
  }
}

/** What is left without contradictions; the first of them where nothing is left. */
function possible<Item>(items: readonly Item[], write: (item: Item) => string): readonly string[] {
  const written: string[] = [];
  let contradiction: Contradiction | undefined;
  for (const item of items) {
    try {
      written.push(write(item));
    } catch (thrown) {
      if (!(thrown instanceof Contradiction)) throw thrown;
      contradiction ??= thrown;
    }
  }
  if (written.length === 0 && contradiction !== undefined) throw contradiction;
  return written;
}

/** A keyword that came in by `$ref` or `allOf` is at fault where it is written. */
function located(
  thrown: unknown,
  { at, schemas }: { at: Pointer; schemas: readonly LocatedSchema[] },
): unknown {
  if (!(thrown instanceof SchemaError) || thrown.pointer !== at) return thrown;
  const { keyword } = thrown;
  const written = schemas.find(({ node }) => keyword !== undefined && keyword in node);
  return written === undefined ? thrown : thrown.movedTo(written.place.pointer);
}

/**
 * `oneOf` says that exactly one branch holds, which a grammar cannot count. It is the same as `anyOf` where no value
 * meets two branches; this sees it by types, listed values, ranges, and required properties of objects.
 */

/** Objects within objects that are looked into. */
const DEPTH = 3;

/** How many pairs may still be compared; shared by all that a schema asks for. */
interface Comparisons {
  left: number;
}

interface Exclusion {
  readonly branches: readonly (readonly Conjunct[])[];
  readonly reader: SchemaReader;
  readonly comparisons: Comparisons;
}

interface Comparing {
  readonly place: SchemaLocation;
  readonly reader: SchemaReader;
  readonly comparisons: Comparisons;
  readonly depth: number;
}

interface Branch {
  readonly facts: MergedSchema;
  readonly schemas: readonly LocatedSchema[];
}

function checkExclusive(place: SchemaLocation, { branches, reader, comparisons }: Exclusion): void {
  const read = branches.map((demands) => readBranch(demands, reader));
  for (const [first, one] of read.entries()) {
    for (const [offset, other] of read.slice(first + 1).entries()) {
      if (excludes(one, other, { place, reader, comparisons, depth: DEPTH })) continue;
      throw new SchemaError(
        place.pointer,
        'oneOf',
        `is only supported where no value can meet two branches, and branches ${first} and ${first + 1 + offset} do not visibly exclude one another. Use anyOf, or give both a required property whose values differ.`,
      );
    }
  }
}

/** Undefined: no value meets it. Choices that are still open are left out, which can only allow more. */
function readBranch(demands: readonly Conjunct[], reader: SchemaReader): Branch | undefined {
  try {
    const { schemas } = flatten(demands, reader);
    return { facts: mergeSchemas(schemas, demands.at(-1)?.place.pointer ?? []), schemas };
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

function excludes(one: Branch | undefined, other: Branch | undefined, how: Comparing): boolean {
  how.comparisons.left -= 1;
  if (how.comparisons.left < 0)
    throw new SchemaError(how.place.pointer, 'oneOf', 'needs too many comparisons of branches. Use anyOf.');
  if (one === undefined || other === undefined) return true;
  const values = one.facts.values?.map(canonicalJson);
  if (values && other.facts.values)
    return !other.facts.values.some((value) => values.includes(canonicalJson(value)));
  const shared = [...kinds(one.facts)].filter((kind) => kinds(other.facts).has(kind));
  return shared.every((kind) => {
    if (kind === 'number') return above(one.facts, other.facts) || above(other.facts, one.facts);
    return kind === 'object' && how.depth > 0 && propertyExcludes(one, other, how);
  });
}

function kinds({ types: allowed, values }: MergedSchema): ReadonlySet<string> {
  return values === undefined ? allowed : new Set(values.map(jsonTypeOf));
}

function above({ lower }: MergedSchema, { upper }: MergedSchema): boolean {
  return lower !== undefined && upper !== undefined && isAbove(lower, upper);
}

function isAbove(lower: Bound, upper: Bound): boolean {
  return lower.value > upper.value || (lower.value === upper.value && (lower.exclusive || upper.exclusive));
}

/** A property that both must have, with values that exclude one another. */
function propertyExcludes(one: Branch, other: Branch, how: Comparing): boolean {
  const required = new Set(other.schemas.flatMap(({ node }) => node.required ?? []));
  const both = one.schemas.flatMap(({ node }) => node.required ?? []).filter((name) => required.has(name));
  return both.some((name) =>
    excludes(readProperty(one, name, how.reader), readProperty(other, name, how.reader), {
      ...how,
      depth: how.depth - 1,
    }),
  );
}

function readProperty({ schemas }: Branch, name: string, reader: SchemaReader): Branch | undefined {
  const places = schemas.flatMap(({ place, node }) =>
    Object.hasOwn(node.properties ?? {}, name) ? [child(place, 'properties', name)] : [],
  );
  return readBranch(
    places.map((place) => conjunctFor(place)),
    reader,
  );
}
