/**
 * `oneOf` says that exactly one branch holds, which a grammar cannot count. It is the same as `anyOf` where no value
 * meets two branches; this sees it by types, listed values, ranges, and required properties of objects.
 */

import { type Demand, demandFor, flatten } from './demands.ts';
import { type Bound, type Facts, factsOf, type ReadSchema } from './facts.ts';
import { comparableText, kindOf } from './json-values.ts';
import { Contradiction, SchemaProblem } from './problem.ts';
import { child, type Place, type SchemaReader } from './reader.ts';

/** Objects within objects that are looked into. */
const DEPTH = 3;

/** How many pairs may still be compared; shared by all that a schema asks for. */
export interface Comparisons {
  left: number;
}

export interface Exclusion {
  readonly branches: readonly (readonly Demand[])[];
  readonly reader: SchemaReader;
  readonly comparisons: Comparisons;
}

interface Comparing {
  readonly place: Place;
  readonly reader: SchemaReader;
  readonly comparisons: Comparisons;
  readonly depth: number;
}

interface Branch {
  readonly facts: Facts;
  readonly schemas: readonly ReadSchema[];
}

export function checkExclusive(place: Place, { branches, reader, comparisons }: Exclusion): void {
  const read = branches.map((demands) => readBranch(demands, reader));
  for (const [first, one] of read.entries()) {
    for (const [offset, other] of read.slice(first + 1).entries()) {
      if (excludes(one, other, { place, reader, comparisons, depth: DEPTH })) continue;
      throw new SchemaProblem(
        place.pointer,
        'oneOf',
        `is only supported where no value can meet two branches, and branches ${first} and ${first + 1 + offset} do not visibly exclude one another. Use anyOf, or give both a required property whose values differ.`,
      );
    }
  }
}

/** Undefined: no value meets it. Choices that are still open are left out, which can only allow more. */
function readBranch(demands: readonly Demand[], reader: SchemaReader): Branch | undefined {
  try {
    const { schemas } = flatten(demands, reader);
    return { facts: factsOf(schemas, demands.at(-1)?.place.pointer ?? []), schemas };
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

function excludes(one: Branch | undefined, other: Branch | undefined, how: Comparing): boolean {
  how.comparisons.left -= 1;
  if (how.comparisons.left < 0)
    throw new SchemaProblem(how.place.pointer, 'oneOf', 'needs too many comparisons of branches. Use anyOf.');
  if (one === undefined || other === undefined) return true;
  const values = one.facts.values?.map(comparableText);
  if (values && other.facts.values)
    return !other.facts.values.some((value) => values.includes(comparableText(value)));
  const shared = [...kinds(one.facts)].filter((kind) => kinds(other.facts).has(kind));
  return shared.every((kind) => {
    if (kind === 'number') return above(one.facts, other.facts) || above(other.facts, one.facts);
    return kind === 'object' && how.depth > 0 && propertyExcludes(one, other, how);
  });
}

function kinds({ kinds: allowed, values }: Facts): ReadonlySet<string> {
  return values === undefined ? allowed : new Set(values.map(kindOf));
}

function above({ lower }: Facts, { upper }: Facts): boolean {
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
    places.map((place) => demandFor(place)),
    reader,
  );
}
