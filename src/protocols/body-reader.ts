/**
 * Bodies held against their schema: the typed value, or an error that names the field, the value and the rule. JSON of the
 * client's own (schemas, arguments) may be nested only so deep, as the code that walks it later may recurse.
 */
import type { Static, TSchema } from 'typebox';
import { ServingError } from '../core/errors.ts';
import { type SchemaNode, variantChooser, variantsOf } from '../schema/schema.ts';
import { compileCheck, describeViolation } from '../schema/violation.ts';
import { invalid } from './field-errors.ts';

type BodyReader<Body> = (raw: unknown) => Body;

/** Strict: null is a value like any other. */
export function bodyReader<Schema extends TSchema>(schema: Schema): BodyReader<Static<Schema>> {
  const check = compileCheck<Static<Schema>>(schema);
  return (raw) => {
    const checked = check(raw);
    if ('value' in checked) return checked.value;
    const { path } = checked.violation;
    throw new ServingError('invalid_request', {
      message: describeViolation(checked.violation, 'The body'),
      ...(path !== '' && { param: path }),
    });
  };
}

/** As the official servers read: null counts as absent, in every object that the schema describes. */
export function nullableBodyReader<Schema extends TSchema>(schema: Schema): BodyReader<Static<Schema>> {
  const read = bodyReader(schema);
  const dropNulls = nullDropper(schema as SchemaNode);
  return dropNulls === undefined ? read : (raw) => read(dropNulls(raw));
}

/** Copies only what has a null in it, so most bodies stay as they are. */
type NullDropper = (value: unknown) => unknown;

/** Undefined where nothing below the node can be dropped: a leaf, or JSON of the client's own. */
function nullDropper(node: SchemaNode): NullDropper | undefined {
  if (node.anyOf !== undefined) return unionDropper(node);
  if (node.items !== undefined) return listDropper(node.items);
  const properties = Object.entries(node.properties ?? {});
  return properties.length === 0 ? undefined : objectDropper(properties);
}

function unionDropper(union: SchemaNode): NullDropper | undefined {
  const droppers = new Map(variantsOf(union).map((variant) => [variant, nullDropper(variant)]));
  const known = [...droppers.values()].filter((dropper) => dropper !== undefined);
  if (known.length === 0) return undefined;
  const choose = variantChooser(union);
  return (value) => {
    if (typeof value !== 'object' || value === null) return value;
    const choice = choose(value);
    // Several variants may be meant: an optional field of any of them may be null.
    if (choice === undefined) return known.reduce<unknown>((left, drop) => drop(left), value);
    const drop = 'variant' in choice ? droppers.get(choice.variant) : undefined;
    return drop === undefined ? value : drop(value);
  };
}

function listDropper(items: SchemaNode): NullDropper | undefined {
  const drop = nullDropper(items);
  if (drop === undefined) return undefined;
  return (value) => {
    if (!Array.isArray(value)) return value;
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index += 1) {
      const entry = drop(value[index]);
      if (entry === value[index]) continue;
      copy ??= [...value];
      copy[index] = entry;
    }
    return copy ?? value;
  };
}

function objectDropper(properties: readonly (readonly [string, SchemaNode])[]): NullDropper {
  const droppers = new Map(properties.map(([name, node]) => [name, nullDropper(node)]));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const fields = value as Readonly<Record<string, unknown>>;
    let copy: Record<string, unknown> | undefined;
    for (const name of Object.keys(fields)) {
      const field = fields[name];
      const isAbsent = field === null || field === undefined;
      const drop = isAbsent ? undefined : droppers.get(name);
      const kept = drop === undefined ? field : drop(field);
      if (!isAbsent && kept === field) continue;
      copy ??= { ...fields };
      if (isAbsent) delete copy[name];
      else copy[name] = kept;
    }
    return copy ?? fields;
  };
}

/**
 * The fields of a body that its schema does not name, and those that it does but that travel along too; undefined where there are
 * none.
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

const MAX_LEVELS = 128;

export function isNestedTooDeeply(value: unknown): boolean {
  let level = [value].filter(isContainer);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_LEVELS) return true;
    level = level.flatMap((container) => Object.values(container).filter(isContainer));
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
