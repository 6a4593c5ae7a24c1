/** Arrays: the first items each by its own schema, the rest by one, as many as are allowed. */
import { literal, repeated, sequence } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import type { WriteContext } from './conjunction.ts';
import { type LocatedSchema, smallest } from './conjunction.ts';
import { Contradiction, child, SchemaError, type SchemaLocation } from './reader.ts';

interface ArrayShape {
  /** Rules of the first items. */
  readonly first: readonly string[];
  /** Rule of every later one; undefined where there is none. */
  readonly rest: string | undefined;
  readonly least: number;
  readonly most: number | undefined;
}

export function writeArray(part: WriteContext): string {
  const { builder } = part.compiler;
  const shape = arrayShape(part);
  const { first, rest, least, most } = shape;
  const ws = builder.json('ws');
  const comma = sequence(literal(','), ws);
  const [open, close] = [sequence(literal('['), ws), literal(']')];
  if (most === 0) return sequence(open, close);
  const count = first.length;
  let items = '';
  if (rest !== undefined) {
    const next = count === 0 ? '' : builder.add('next', sequence(comma, rest));
    if (count > 0)
      items = repeated(next, Math.max(0, least - count), most === undefined ? undefined : most - count);
    else {
      const further = builder.add('next', sequence(comma, rest));
      items = sequence(
        rest,
        repeated(further, Math.max(0, least - 1), most === undefined ? undefined : most - 1),
      );
    }
  }
  // From the last of the first items backwards: what follows one is optional once there are enough.
  for (let index = count - 1; index >= 0; index--) {
    const begun = sequence(index === 0 ? '' : comma, first[index] as string, items);
    items = index > 0 && index >= least ? `${builder.add('items', begun)}?` : begun;
  }
  const inside = sequence(items, ws);
  return sequence(open, least === 0 ? `(${inside})?` : inside, close);
}

function arrayShape({ schemas, at, compiler }: WriteContext): ArrayShape {
  const nodes = schemas.map(({ node }) => node);
  const least = Math.max(0, ...nodes.flatMap(({ minItems }) => minItems ?? []));
  let most = smallest(nodes.flatMap(({ maxItems }) => maxItems ?? []));
  for (const [keyword, value] of [
    ['minItems', least],
    ['maxItems', most ?? 0],
  ] as const)
    if (value > SCHEMA_LIMITS.repetitions)
      throw new SchemaError(at, keyword, `is ${value}. At most ${SCHEMA_LIMITS.repetitions} is allowed.`);
  const prefix = Math.max(0, ...nodes.map(({ prefixItems }) => prefixItems?.length ?? 0));
  if (prefix > SCHEMA_LIMITS.prefixItems)
    throw new SchemaError(
      at,
      'prefixItems',
      `has ${prefix} schemas. At most ${SCHEMA_LIMITS.prefixItems} are allowed.`,
    );
  const first: string[] = [];
  for (let index = 0; index < Math.min(prefix, most ?? prefix); index++) {
    const rule = itemRule(index, { schemas, at, compiler });
    if (rule === undefined) {
      most = index;
      break;
    }
    first.push(rule);
  }
  const rest =
    (most ?? Number.POSITIVE_INFINITY) > prefix ? itemRule(prefix, { schemas, at, compiler }) : undefined;
  if (rest === undefined) most = Math.min(most ?? prefix, prefix);
  if (least > (most ?? least))
    throw new Contradiction(at, 'minItems', `is ${least}, but there can be only ${most} items.`);
  return { first, rest, least, most };
}

/** Undefined where there can be no such item. */
function itemRule(index: number, { schemas, compiler }: WriteContext): string | undefined {
  const places = itemPlaces(schemas, index);
  if (places === undefined) return undefined;
  try {
    return compiler.ruleFor(places, 'item');
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

function itemPlaces(schemas: readonly LocatedSchema[], index: number): readonly SchemaLocation[] | undefined {
  const places: SchemaLocation[] = [];
  for (const { place, node } of schemas) {
    const prefix = node.prefixItems?.length ?? 0;
    if (index < prefix) places.push(child(place, 'prefixItems', index));
    else if (node.items !== undefined) places.push(child(place, 'items'));
    else if (prefix > 0) return undefined;
  }
  return places;
}
