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
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(fields)) {
    const inner = fields[name];
    // Without any known field it is JSON of the client's own, where null is a value.
    const isAbsent = inner === undefined || (inner === null && Object.keys(properties).length > 0);
    const kept = Object.hasOwn(properties, name)
      ? withoutNulls(inner, properties[name] as SchemaNode)
      : inner;
    if (!isAbsent && kept === inner) continue;
    copy ??= { ...fields };
    if (isAbsent) delete copy[name];
    else copy[name] = kept;
  }
  return copy ?? fields;
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
