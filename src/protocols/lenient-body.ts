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

export function withoutNulls(value: unknown, { properties, items, anyOf }: SchemaNode): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (anyOf !== undefined) return anyOf.reduce<unknown>(withoutNulls, value);
  if (Array.isArray(value))
    return items === undefined || isLeaf(items) ? value : value.map((entry) => withoutNulls(entry, items));
  if (properties === undefined) return value;
  const known = (name: string) => (Object.hasOwn(properties, name) ? properties[name] : undefined);
  // Without any known field it is JSON of the client's own, where null is a value.
  const isOpen = Object.keys(properties).length === 0;
  const entries = Object.entries(value).flatMap(([name, inner]) => {
    if (inner === undefined || (inner === null && !isOpen)) return [];
    const node = known(name);
    return [[name, node === undefined ? inner : withoutNulls(inner, node)]];
  });
  return Object.fromEntries(entries);
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
