/**
 * Bodies as the official servers take them: null counts as absent, and what is not known is no error. Walks no deeper than the
 * schema does, so JSON of the client’s own (schemas, metadata) is never looked into.
 */
import type { Static, TSchema } from 'typebox';
import type { SchemaNode } from '../schema/schema-node.ts';
import { type BodyReader, bodyReader } from './checked-body.ts';
import { refuseDeepNesting } from './nesting.ts';

export function lenientReader<Schema extends TSchema>(schema: Schema): BodyReader<Static<Schema>> {
  const read = bodyReader<Static<Schema>>(schema);
  return (raw, place) => read(withoutNulls(raw, schema as SchemaNode), place);
}

/** The value itself where nothing is left out of it, as of most bodies. */
export function withoutNulls(value: unknown, { properties, items, anyOf }: SchemaNode): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (anyOf !== undefined) return anyOf.reduce<unknown>(withoutNulls, value);
  if (Array.isArray(value))
    return items === undefined || isLeaf(items) ? value : entriesWithout(value, items);
  return properties === undefined ? value : fieldsWithout(value as Loose, properties);
}

type Loose = Readonly<Record<string, unknown>>;

function entriesWithout(entries: readonly unknown[], items: SchemaNode): readonly unknown[] {
  const kept = entries.map((entry) => withoutNulls(entry, items));
  return kept.every((entry, index) => entry === entries[index]) ? entries : kept;
}

function fieldsWithout(fields: Loose, properties: Readonly<Record<string, SchemaNode>>): Loose {
  let changed: [string, unknown][] | undefined;
  // Without any known field it is JSON of the client's own, where null is a value.
  let isOpen: boolean | undefined;
  for (const name of Object.keys(fields)) {
    const inner = fields[name];
    if (inner === null) isOpen ??= Object.keys(properties).length === 0;
    if (inner === undefined || (inner === null && !isOpen)) {
      changed ??= [];
      continue;
    }
    if (typeof inner !== 'object' || !Object.hasOwn(properties, name)) continue;
    const kept = withoutNulls(inner, properties[name] as SchemaNode);
    if (kept === inner) continue;
    changed ??= [];
    changed.push([name, kept]);
  }
  if (changed === undefined) return fields;
  const replaced = new Map(changed);
  const kept = Object.entries(fields).flatMap(([name, inner]) => {
    if (inner === undefined || (inner === null && !isOpen)) return [];
    return [[name, replaced.has(name) ? replaced.get(name) : inner] as const];
  });
  return Object.fromEntries(kept);
}

function isLeaf({ properties, items, anyOf }: SchemaNode): boolean {
  return properties === undefined && items === undefined && anyOf === undefined;
}

/**
 * The fields of a body that its schema does not name, and those that it does but that travel along too; undefined where
 * there are none.
 */
export function extrasOf(
  body: object,
  { properties }: { readonly properties: object },
  alsoKnown: readonly string[] = [],
): Readonly<Record<string, unknown>> | undefined {
  const extras = Object.entries(body).filter(
    ([name, value]) => value !== null && (!Object.hasOwn(properties, name) || alsoKnown.includes(name)),
  );
  for (const [name, value] of extras) refuseDeepNesting(value, name);
  return extras.length === 0 ? undefined : Object.fromEntries(extras);
}
