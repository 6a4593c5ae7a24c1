/**
 * Compiles the schemas of one document into rules. What is compiled is always a conjunction, a list of schemas that one
 * value must meet: `$ref` and `allOf` add schemas to the list, `anyOf` and `oneOf` make one list for each branch. Equal
 * lists share one rule, which is also how recursion ends.
 */
import { anyOfTexts, choice, type GrammarBuilder } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { writeArray } from './arrays.ts';
import {
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

const WRITERS: Readonly<Record<JsonType, (merged: MergedSchema, context: WriteContext) => string>> = {
  object: (_, context) => writeObject(context),
  array: (_, context) => writeArray(context),
  string: (merged, { at, compiler }) => writeString(merged, { at, builder: compiler.builder }),
  number: (merged, { at, compiler }) => writeNumber(merged, { at, builder: compiler.builder }),
  boolean: (_, { compiler }) => compiler.builder.json('boolean'),
  null: (_, { compiler }) => compiler.builder.json('null'),
};

export class SchemaCompiler implements RuleCompiler {
  readonly builder: GrammarBuilder;
  readonly #reader: SchemaReader;
  readonly #root: SchemaLocation;
  readonly #rules = new Map<string, string | Contradiction>();
  readonly #exclusion: BranchExclusion;
  #depth = 0;
  #merged = 0;

  constructor(document: unknown, builder: GrammarBuilder) {
    this.builder = builder;
    this.#reader = new SchemaReader(document);
    this.#exclusion = new BranchExclusion(this.#reader);
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

  ruleFor(locations: readonly SchemaLocation[], hint: string): string {
    return this.#ruleFor(
      locations.map((location) => conjunctFor(location)),
      hint,
    );
  }

  #ruleFor(conjuncts: readonly Conjunct[], hint: string): string {
    const at = conjuncts[0]?.location.pointer ?? [];
    const flat = flatten(conjuncts, this.#reader);
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
      const error = located(thrown, { at, schemas: flat.schemas });
      if (error instanceof Contradiction) this.#rules.set(flat.key, error);
      throw error;
    } finally {
      this.#depth -= 1;
    }
    return name;
  }

  #body(flat: Conjunction, { at, hint }: { readonly at: Pointer; readonly hint: string }): string {
    const [first] = flat.choices;
    if (first !== undefined) return this.#branches(first, { flat, hint });
    const merged = mergeSchemas(flat.schemas, at);
    if (merged.values !== undefined)
      return anyOfTexts(
        merged.values.map((value) => JSON.stringify(value)),
        this.builder,
      );
    if (merged.types.size === 0) throw new Contradiction(at, 'type', 'leaves no type that all parts allow.');
    const context = { schemas: flat.schemas, at, compiler: this };
    return choice(possible(Array.from(merged.types), (type) => WRITERS[type](merged, context)));
  }

  #branches(
    { conjunct, keyword, branches }: OpenChoice,
    { flat, hint }: { readonly flat: Conjunction; readonly hint: string },
  ): string {
    const { location } = conjunct;
    if (branches.length > SCHEMA_LIMITS.branches)
      throw new SchemaError(
        location.pointer,
        keyword,
        `has ${branches.length} branches. At most ${SCHEMA_LIMITS.branches} are allowed.`,
      );
    const key = locationKey(location);
    const rest = flat.conjuncts.map((other) =>
      locationKey(other.location) === key ? { ...other, decided: [...other.decided, keyword] } : other,
    );
    const withBranch = (index: number): readonly Conjunct[] => [
      ...rest,
      conjunctFor(child(location, keyword, index), [...conjunct.via, key]),
    ];
    if (keyword === 'oneOf')
      this.#exclusion.check(
        location.pointer,
        branches.map((_, index) => withBranch(index)),
      );
    const names = possible(Array.from(branches.keys()), (index) => this.#ruleFor(withBranch(index), hint));
    return choice([...new Set(names)]);
  }
}

/** The items without those that no value can meet. Throws the first contradiction where none is left. */
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

/** Where a keyword came in by `$ref` or `allOf`, the error names the place where it is written. */
function located(
  thrown: unknown,
  { at, schemas }: { at: Pointer; schemas: readonly LocatedSchema[] },
): unknown {
  if (!(thrown instanceof SchemaError) || thrown.pointer !== at) return thrown;
  const { keyword } = thrown;
  const written = schemas.find(({ node }) => keyword !== undefined && keyword in node);
  return written === undefined ? thrown : thrown.movedTo(written.location.pointer);
}

interface Branch {
  readonly merged: MergedSchema;
  readonly schemas: readonly LocatedSchema[];
}

/** Objects within objects that are compared. */
const COMPARED_DEPTH = 3;

/**
 * `oneOf` allows a value that exactly one branch allows, which a grammar cannot count. It equals `anyOf` where no value
 * meets two branches; this recognises it by types, listed values, ranges, and required properties of objects. Owns how
 * many comparisons one document may still cause.
 */
class BranchExclusion {
  readonly #reader: SchemaReader;
  #comparisonsLeft: number = SCHEMA_LIMITS.comparisons;

  constructor(reader: SchemaReader) {
    this.#reader = reader;
  }

  /** Throws where two of the branches do not visibly exclude one another. */
  check(at: Pointer, branches: readonly (readonly Conjunct[])[]): void {
    const read = branches.map((conjuncts) => this.#read(conjuncts));
    for (const [first, one] of read.entries()) {
      for (let second = first + 1; second < read.length; second++) {
        const excluded = this.#excludes(one, read[second], COMPARED_DEPTH);
        if (this.#comparisonsLeft < 0)
          throw new SchemaError(at, 'oneOf', 'needs too many comparisons of branches. Use anyOf.');
        if (excluded) continue;
        throw new SchemaError(
          at,
          'oneOf',
          `is only supported where no value can meet two branches, and branches ${first} and ${second} do not visibly exclude one another. Use anyOf, or give both a required property whose values differ.`,
        );
      }
    }
  }

  /** Undefined: no value meets it. Open choices are not looked into, which can only allow more. */
  #read(conjuncts: readonly Conjunct[]): Branch | undefined {
    try {
      const { schemas } = flatten(conjuncts, this.#reader);
      return { merged: mergeSchemas(schemas, conjuncts.at(-1)?.location.pointer ?? []), schemas };
    } catch (thrown) {
      if (thrown instanceof Contradiction) return undefined;
      throw thrown;
    }
  }

  #excludes(one: Branch | undefined, other: Branch | undefined, depth: number): boolean {
    this.#comparisonsLeft -= 1;
    if (this.#comparisonsLeft < 0) return false;
    if (one === undefined || other === undefined) return true;
    const values = one.merged.values?.map(canonicalJson);
    if (values && other.merged.values)
      return !other.merged.values.some((value) => values.includes(canonicalJson(value)));
    const otherTypes = typesOf(other.merged);
    const shared = [...typesOf(one.merged)].filter((type) => otherTypes.has(type));
    return shared.every((type) => {
      if (type === 'number') return isAbove(one.merged, other.merged) || isAbove(other.merged, one.merged);
      return type === 'object' && depth > 0 && this.#propertyExcludes(one, other, depth - 1);
    });
  }

  /** A property that both require, with values that exclude one another. */
  #propertyExcludes(one: Branch, other: Branch, depth: number): boolean {
    const required = new Set(other.schemas.flatMap(({ node }) => node.required ?? []));
    const both = one.schemas.flatMap(({ node }) => node.required ?? []).filter((name) => required.has(name));
    return both.some((name) =>
      this.#excludes(this.#readProperty(one, name), this.#readProperty(other, name), depth),
    );
  }

  #readProperty({ schemas }: Branch, name: string): Branch | undefined {
    const conjuncts = schemas.flatMap(({ location, node }) =>
      Object.hasOwn(node.properties ?? {}, name) ? [conjunctFor(child(location, 'properties', name))] : [],
    );
    return this.#read(conjuncts);
  }
}

function typesOf({ types, values }: MergedSchema): ReadonlySet<string> {
  return values === undefined ? types : new Set(values.map(jsonTypeOf));
}

function isAbove({ lower }: MergedSchema, { upper }: MergedSchema): boolean {
  if (lower === undefined || upper === undefined) return false;
  return lower.value > upper.value || (lower.value === upper.value && (lower.exclusive || upper.exclusive));
}
