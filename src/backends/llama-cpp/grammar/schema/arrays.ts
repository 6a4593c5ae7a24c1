/** Arrays: the first items each by a schema of its own (`prefixItems`), all others by one (`items`). */
import { literal, repeated, sequence } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { type LocatedSchema, smallest, type WriteContext } from './conjunction.ts';
import { Contradiction, checkRepetitions, child, SchemaError, type SchemaLocation } from './reader.ts';

interface ArrayShape {
  /** Rules of the first items. */
  readonly first: readonly string[];
  /** Rule of every later item; undefined where there is none. */
  readonly rest: string | undefined;
  readonly min: number;
  readonly max: number | undefined;
}

export function writeArray(part: WriteContext): string {
  const { builder } = part.compiler;
  const shape = arrayShape(part);
  const { first, rest, min, max } = shape;
  const ws = builder.json('ws');
  const comma = sequence(literal(','), ws);
  const [open, close] = [sequence(literal('['), ws), literal(']')];
  if (max === 0) return sequence(open, close);
  const count = first.length;
  let items = '';
  if (rest !== undefined) {
    const next = count === 0 ? '' : builder.add('next', sequence(comma, rest));
    if (count > 0)
      items = repeated(next, Math.max(0, min - count), max === undefined ? undefined : max - count);
    else {
      const additional = builder.add('next', sequence(comma, rest));
      items = sequence(
        rest,
        repeated(additional, Math.max(0, min - 1), max === undefined ? undefined : max - 1),
      );
    }
  }
  // From the last of the first items backwards: what follows an item is optional once there are enough.
  for (let index = count - 1; index >= 0; index--) {
    const begun = sequence(index === 0 ? '' : comma, first[index] as string, items);
    items = index > 0 && index >= min ? `${builder.add('items', begun)}?` : begun;
  }
  const inside = sequence(items, ws);
  return sequence(open, min === 0 ? `(${inside})?` : inside, close);
}

function arrayShape({ schemas, at, compiler }: WriteContext): ArrayShape {
  const nodes = schemas.map(({ node }) => node);
  const min = Math.max(0, ...nodes.flatMap(({ minItems }) => minItems ?? []));
  let max = smallest(nodes.flatMap(({ maxItems }) => maxItems ?? []));
  checkRepetitions(at, { minItems: min, maxItems: max });
  const prefix = Math.max(0, ...nodes.map(({ prefixItems }) => prefixItems?.length ?? 0));
  if (prefix > SCHEMA_LIMITS.prefixItems)
    throw new SchemaError(
      at,
      'prefixItems',
      `has ${prefix} schemas. At most ${SCHEMA_LIMITS.prefixItems} are allowed.`,
    );
  const first: string[] = [];
  for (let index = 0; index < Math.min(prefix, max ?? prefix); index++) {
    const rule = itemRule(index, { schemas, at, compiler });
    if (rule === undefined) {
      max = index;
      break;
    }
    first.push(rule);
  }
  const rest =
    (max ?? Number.POSITIVE_INFINITY) > prefix ? itemRule(prefix, { schemas, at, compiler }) : undefined;
  if (rest === undefined) max = Math.min(max ?? prefix, prefix);
  if (min > (max ?? min))
    throw new Contradiction(at, 'minItems', `is ${min}, but there can be only ${max} items.`);
  return { first, rest, min, max };
}

/** Undefined where no value is allowed at that index. */
function itemRule(index: number, { schemas, compiler }: WriteContext): string | undefined {
  const locations = itemLocations(schemas, index);
  if (locations === undefined) return undefined;
  try {
    return compiler.ruleFor(locations, 'item');
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

function itemLocations(
  schemas: readonly LocatedSchema[],
  index: number,
): readonly SchemaLocation[] | undefined {
  const locations: SchemaLocation[] = [];
  for (const { location, node } of schemas) {
    const prefix = node.prefixItems?.length ?? 0;
    if (index < prefix) locations.push(child(location, 'prefixItems', index));
    else if (node.items !== undefined) locations.push(child(location, 'items'));
    else if (prefix > 0) return undefined;
  }
  return locations;
}
