/**
 * Bodies as OpenAI's own servers take them: null counts as absent wherever a field is known, and what is not known is no
 * error. Walks no deeper than the schema does, so JSON of the client's own (schemas, metadata) is never looked into.
 */
import type { TSchema } from 'typebox';
import { bodyReader } from '../checked-body.ts';
import { refuseDeepNesting } from '../nesting.ts';

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

export function lenientReader<Body>(schema: TSchema): (raw: unknown) => Body {
  const read = bodyReader<Body>(schema);
  return (raw) => read(withoutNulls(raw, schema as SchemaNode));
}

export function withoutNulls(value: unknown, { properties, items, anyOf }: SchemaNode): unknown {
  if (anyOf !== undefined) return anyOf.reduce(withoutNulls, value);
  if (Array.isArray(value))
    return items === undefined || isLeaf(items) ? value : value.map((entry) => withoutNulls(entry, items));
  if (properties === undefined || typeof value !== 'object' || value === null) return value;
  const known = (name: string) => (Object.hasOwn(properties, name) ? properties[name] : undefined);
  const entries = Object.entries(value).flatMap(([name, inner]) => {
    const node = known(name);
    if (node === undefined) return [[name, inner]];
    return inner === null ? [] : [[name, withoutNulls(inner, node)]];
  });
  return Object.fromEntries(entries);
}

function isLeaf({ properties, items, anyOf }: SchemaNode): boolean {
  return properties === undefined && items === undefined && anyOf === undefined;
}

/** The fields of a body that its schema does not name; undefined where there are none. */
export function extrasOf(
  body: object,
  { properties }: { readonly properties: object },
): Readonly<Record<string, unknown>> | undefined {
  const extras = Object.entries(body).filter(
    ([name, value]) => value !== null && !Object.hasOwn(properties, name),
  );
  for (const [name, value] of extras) refuseDeepNesting(value, name);
  return extras.length === 0 ? undefined : Object.fromEntries(extras);
}
