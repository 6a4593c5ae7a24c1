/** A body, or a part of one, held against its schema: the typed value, or a refusal that names the field, the value and the rule. */

import type { Static, TSchema } from 'typebox';
import { ServingError } from '../core/errors.ts';
import type { SchemaNode } from '../schema/schema.ts';
import { compileCheck, describeViolation } from '../schema/violation.ts';
import { invalid } from './field-errors.ts';

/** `place`: where the part stands in its body, for errors; without one it is the body itself. */
type BodyReader<Body> = (raw: unknown, place?: string) => Body;

export function bodyReader<Body>(schema: TSchema): BodyReader<Body> {
  const check = compileCheck<Body>(schema);
  return (raw, place = '') => {
    const checked = check(raw);
    if ('value' in checked) return checked.value;
    const path = within(place, checked.violation.path);
    throw new ServingError('invalid_request', {
      message: describeViolation({ ...checked.violation, path }, 'The body'),
      ...(path === '' ? {} : { param: path }),
    });
  };
}

function within(place: string, path: string): string {
  if (place === '' || path === '') return place + path;
  return `${place}${path.startsWith('[') ? '' : '.'}${path}`;
}

/**
 * Bodies as the official servers take them: null counts as absent, and what is not known is no error. Walks no deeper than the
 * schema does, so JSON of the client’s own (schemas, metadata) is never looked into.
 */

export function nullableBodyReader<Schema extends TSchema>(schema: Schema): BodyReader<Static<Schema>> {
  const read = bodyReader<Static<Schema>>(schema);
  return (raw, place) => read(withoutNulls(raw, schema as SchemaNode), place);
}

/** The value itself where nothing is left out of it, as of most bodies. */
function withoutNulls(value: unknown, { properties, items, anyOf }: SchemaNode): unknown {
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

/**
 * Bounds how deeply the JSON is nested that clients and models bring along (schemas, arguments): whoever walks it
 * later may recurse. Itself it does not.
 */

const MAX_LEVELS = 128;

export function isNestedTooDeeply(value: unknown): boolean {
  let level = [value].filter(isContainer);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_LEVELS) return true;
    level = level.flatMap((holder) => Object.values(holder).filter(isContainer));
  }
  return false;
}

export function refuseDeepNesting(value: unknown, path: string): void {
  if (!isNestedTooDeeply(value)) return;
  throw invalid(path, `${path} is nested too deeply: at most ${MAX_LEVELS} levels are allowed.`);
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
