/**
 * Turns the schemas of one document into rules. What is compiled is always a list of schemas that one value must meet
 * together: `$ref` and `allOf` put schemas into the list, `anyOf` and `oneOf` make one list for each branch. Equal
 * lists share one rule, which is also how recursion ends.
 */

import type { RuleBook } from '../gbnf/rule-book.ts';
import { choice } from '../gbnf/text.ts';
import { anyOfTexts } from '../gbnf/text-trie.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { arrayPart } from './arrays.ts';
import { type Demand, type Demands, demandFor, flatten, type OpenChoice } from './demands.ts';
import { checkExclusive } from './exclusion.ts';
import { type Facts, factsOf, type ReadSchema } from './facts.ts';
import type { Kind } from './keywords.ts';
import { numberPart } from './numbers.ts';
import { objectPart } from './objects.ts';
import type { Compiler, PartOf } from './part-of.ts';
import { Contradiction, type Pointer, SchemaProblem } from './problem.ts';
import { child, type Place, placeKey, SchemaReader } from './reader.ts';
import { stringPart } from './strings.ts';

type WritePart = (facts: Facts, part: PartOf) => string;

const PARTS: Readonly<Record<Kind, WritePart>> = {
  object: (_, part) => objectPart(part),
  array: (_, part) => arrayPart(part),
  string: (facts, { at, compiler }) => stringPart(facts, { at, book: compiler.book }),
  number: (facts, { at, compiler }) => numberPart(facts, { at, book: compiler.book }),
  boolean: (_, { compiler }) => compiler.book.json('boolean'),
  null: (_, { compiler }) => compiler.book.json('null'),
};

export class SchemaCompiler implements Compiler {
  readonly book: RuleBook;
  readonly #reader: SchemaReader;
  readonly #root: Place;
  readonly #rules = new Map<string, string | Contradiction>();
  readonly #comparisons = { left: SCHEMA_LIMITS.comparisons };
  #depth = 0;
  #merged = 0;

  constructor(document: unknown, book: RuleBook) {
    this.book = book;
    this.#reader = new SchemaReader(document);
    this.#root = { pointer: [], schema: document };
  }

  /** The name of the rule for the whole document. */
  root(hint: string): string {
    return this.ruleFor([this.#root], hint);
  }

  /** Kinds of value that the whole document allows, at the most. */
  kinds(): ReadonlySet<Kind> {
    const { schemas } = flatten([demandFor(this.#root)], this.#reader);
    return factsOf(schemas, []).kinds;
  }

  ruleFor(places: readonly Place[], hint: string): string {
    return this.#ruleFor(
      places.map((place) => demandFor(place)),
      hint,
    );
  }

  #ruleFor(demands: readonly Demand[], hint: string): string {
    const at = demands[0]?.place.pointer ?? [];
    const flat = flatten(demands, this.#reader);
    if (flat.schemas.length === 0 && flat.choices.length === 0) return this.book.json('value');
    const known = this.#rules.get(flat.key);
    if (known instanceof Contradiction) throw known;
    if (known !== undefined) return known;
    if (this.#rules.size >= SCHEMA_LIMITS.rules)
      throw new SchemaProblem(
        at,
        undefined,
        `makes more than ${SCHEMA_LIMITS.rules} rules; use fewer different parts.`,
      );
    if (this.#depth >= SCHEMA_LIMITS.referenceDepth)
      throw new SchemaProblem(
        at,
        undefined,
        `is nested more than ${SCHEMA_LIMITS.referenceDepth} deep, references included.`,
      );
    this.#merged += flat.schemas.length + flat.choices.length;
    if (this.#merged > SCHEMA_LIMITS.mergedInAll)
      throw new SchemaProblem(
        at,
        undefined,
        'multiplies: its parts are put together in too many ways; use fewer choices side by side.',
      );
    const name = this.book.reserve(hint);
    this.#rules.set(flat.key, name);
    this.#depth += 1;
    try {
      this.book.define(name, this.#body(flat, { at, hint }));
    } catch (thrown) {
      const problem = located(thrown, { at, schemas: flat.schemas });
      if (problem instanceof Contradiction) this.#rules.set(flat.key, problem);
      throw problem;
    } finally {
      this.#depth -= 1;
    }
    return name;
  }

  #body(flat: Demands, { at, hint }: { readonly at: Pointer; readonly hint: string }): string {
    const [first] = flat.choices;
    if (first !== undefined) return this.#branches(first, { flat, hint });
    const facts = factsOf(flat.schemas, at);
    if (facts.values !== undefined)
      return anyOfTexts(
        facts.values.map((value) => JSON.stringify(value)),
        this.book,
      );
    if (facts.kinds.size === 0) throw new Contradiction(at, 'type', 'leaves no type that all parts allow.');
    return this.#kinds(facts, { schemas: flat.schemas, at, compiler: this });
  }

  /** Kinds that no value can meet drop out, unless none is left. */
  #kinds(facts: Facts, part: PartOf): string {
    return choice(possible(Array.from(facts.kinds), (kind) => PARTS[kind](facts, part)));
  }

  #branches(
    { demand, keyword, branches }: OpenChoice,
    { flat, hint }: { readonly flat: Demands; readonly hint: string },
  ): string {
    const { place } = demand;
    if (branches.length > SCHEMA_LIMITS.branches)
      throw new SchemaProblem(
        place.pointer,
        keyword,
        `has ${branches.length} branches. At most ${SCHEMA_LIMITS.branches} are allowed.`,
      );
    const key = placeKey(place);
    const rest = flat.demands.map((other) =>
      placeKey(other.place) === key ? { ...other, decided: [...other.decided, keyword] } : other,
    );
    const withBranch = (index: number): readonly Demand[] => [
      ...rest,
      demandFor(child(place, keyword, index), [...demand.via, key]),
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
function located(thrown: unknown, { at, schemas }: { at: Pointer; schemas: readonly ReadSchema[] }): unknown {
  if (!(thrown instanceof SchemaProblem) || thrown.pointer !== at) return thrown;
  const { keyword } = thrown;
  const written = schemas.find(({ node }) => keyword !== undefined && keyword in node);
  return written === undefined ? thrown : thrown.movedTo(written.place.pointer);
}
