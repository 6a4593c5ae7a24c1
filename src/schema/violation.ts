/**
 * What is wrong with a value, so that a person can mend it: the field, the value, the rule. Used for requests and for
 * configuration; the words of the rule are made from the schema itself.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { ownValue, propertyOf, type SchemaNode, variantChooser } from './schema.ts';
import { shownAddress } from './shown-address.ts';

export interface Violation {
  readonly kind: 'unknown' | 'missing' | 'wrong';
  /** `messages[0].role`; empty for the value as a whole. */
  readonly path: string;
  readonly value: unknown;
  /** The schema forbids to show the value. */
  readonly secret: boolean;
  /** What is allowed there: "an integer from 1 to 65535". */
  readonly rule: string;
}

type Checked<Value> = { readonly value: Value } | { readonly violation: Violation };

/** Compiles the schema once; the function answers with the typed value or the first violation. */
export function compileCheck<Value>(schema: TSchema): (value: unknown) => Checked<Value> {
  const validator = Compile(schema);
  const parts = new Map<SchemaNode, { Check(value: unknown): boolean }>();
  /** A part of the schema is compiled when the first wrong value asks for it. */
  const fits = (node: SchemaNode, value: unknown): boolean => {
    const part = parts.get(node) ?? Compile(node as TSchema);
    parts.set(node, part);
    return part.Check(value);
  };
  const root = schema as SchemaNode;
  return (value) =>
    validator.Check(value)
      ? { value: value as Value }
      : { violation: violationIn({ node: root, value, path: '' }, fits) };
}

/** A value, its schema and its path. */
interface Place {
  readonly node: SchemaNode;
  readonly value: unknown;
  readonly path: string;
}

type Fits = (node: SchemaNode, value: unknown) => boolean;

/**
 * The first fault of a value that does not fit its schema. The search goes from each value into its first wrong part, and from a
 * union into the variant that was meant. It keeps nothing and never goes back, so its cost is bounded by the size of the value.
 */
function violationIn(place: Place, fits: Fits): Violation {
  const { node, value } = place;
  if (node.anyOf !== undefined) return violationOfUnion(place, fits);
  if (node.type === 'array' && Array.isArray(value)) return violationInList(place, value, fits);
  if (node.type === 'object' && typeof value === 'object' && value !== null && !Array.isArray(value))
    return violationInObject(place, value as Fields, fits);
  return wrong(place);
}

function violationOfUnion({ node, value, path }: Place, fits: Fits): Violation {
  const choice = variantChooser(node)(value);
  if (choice === undefined) return wrong({ node, value, path });
  if ('variant' in choice) {
    // A list or an object was meant as that variant; any other value may have been meant as each of them.
    if (typeof value !== 'object' || value === null) return wrong({ node, value, path });
    return violationIn({ node: choice.variant, value, path }, fits);
  }
  const { property, rule } = choice;
  const place = { node: rule, value: ownValue(value as object, property), path: fieldPath(path, property) };
  return place.value === undefined ? missing(place) : wrong(place);
}

function violationInList(place: Place, entries: readonly unknown[], fits: Fits): Violation {
  const { items, maxItems } = place.node;
  if (items === undefined || (maxItems !== undefined && entries.length > maxItems)) return wrong(place);
  const index = entries.findIndex((entry) => !fits(items, entry));
  if (index < 0) return wrong(place);
  return violationIn({ node: items, value: entries[index], path: `${place.path}[${index}]` }, fits);
}

type Fields = Readonly<Record<string, unknown>>;

function violationInObject(place: Place, fields: Fields, fits: Fits): Violation {
  const { node, path } = place;
  const { properties = {}, required = [], patternProperties = {} } = node;
  const fieldPlace = (name: string, field: SchemaNode | undefined): Place => ({
    node: field ?? {},
    value: ownValue(fields, name),
    path: fieldPath(path, name),
  });
  // A wrong `type` says more than what is missing for the right one.
  const tag = Object.keys(properties).find((name) =>
    isWrongConstant(properties[name], ownValue(fields, name)),
  );
  if (tag !== undefined) return wrong(fieldPlace(tag, properties[tag]));
  const absent = required.find((name) => ownValue(fields, name) === undefined);
  if (absent !== undefined) return missing(fieldPlace(absent, properties[absent]));
  if (node.additionalProperties === false) {
    const unknown = Object.keys(fields).find((name) => propertyOf(node, name) === undefined);
    if (unknown !== undefined) return notKnown(fieldPlace(unknown, undefined), Object.keys(properties));
  }
  for (const [name, field] of Object.entries(properties)) {
    const value = ownValue(fields, name);
    if (value !== undefined && !fits(field, value)) return violationIn(fieldPlace(name, field), fits);
  }
  const [values] = Object.values(patternProperties);
  if (values === undefined) return wrong(place);
  const name = Object.keys(fields).find((each) => !fits(values, fields[each]));
  return name === undefined ? wrong(place) : violationIn(fieldPlace(name, values), fits);
}

function isWrongConstant(field: SchemaNode | undefined, value: unknown): boolean {
  return field?.const !== undefined && value !== undefined && field.const !== value;
}

function fieldPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function wrong({ node, value, path }: Place): Violation {
  return { kind: 'wrong', path, value, secret: isSecret(node), rule: describeRule(node) };
}

function missing({ node, path }: Place): Violation {
  return { kind: 'missing', path, value: undefined, secret: isSecret(node), rule: describeRule(node) };
}

function notKnown({ value, path }: Place, known: readonly string[]): Violation {
  return { kind: 'unknown', path, value, secret: true, rule: `one of the known names: ${known.join(', ')}` };
}

function isSecret({ secret, items }: SchemaNode): boolean {
  return secret === true || items?.secret === true;
}

/** "max_tokens is 0, but must be an integer ≥ 1." `whole` names the value as a whole. */
export function describeViolation(violation: Violation, whole: string, show: ShowValue = showValue): string {
  const name = violation.path === '' ? whole : violation.path;
  const { kind, rule } = violation;
  switch (kind) {
    case 'unknown':
      return `${name} is not known. Expected ${rule}.`;
    case 'missing':
      return `${name} is missing. It must be ${rule}.`;
    case 'wrong':
      return `${name} is ${violation.secret ? '(not shown)' : show(violation.value)}, but must be ${rule}.`;
    default:
      throw kind satisfies never;
  }
}

type ShowValue = (value: unknown) => string;

const SHOWN_CHARACTERS = 60;

/** As JSON, shortened: a client may see what it sent. The configuration’s addresses may have passwords. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'not given';
  const text = jsonStart(value, SHOWN_CHARACTERS);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

/** As `JSON.stringify` writes it. Of a value that needs more than `room` characters at least so many, and no deeper. */
function jsonStart(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(shownAddress(value).slice(0, room + 1));
  // 1e999 is read as Infinity, which JSON.stringify would write as null.
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? String(value);
  const isList = Array.isArray(value);
  let text = isList ? '[' : '{';
  for (const key in value) {
    if (text.length > room) return text;
    if (text.length > 1) text += ',';
    if (!isList) text += `${jsonStart(key, room - text.length)}:`;
    text += jsonStart((value as Fields)[key], room - text.length);
  }
  return text + (isList ? ']' : '}');
}

/** Of a list or an object only what it is: in the wrong place it may hold a secret. */
export function showWithoutContents(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : showValue(value);
}

/** The rule of one field in words, from the schema's own keywords. */
export function describeRule(node: SchemaNode): string {
  if (node.title !== undefined) return node.title;
  if (node.anyOf !== undefined) return describeVariants(node.anyOf);
  const constants = constantsOf(node);
  if (constants !== undefined) return describeConstants(constants);
  switch (node.type) {
    case 'integer':
      return `an integer${describeRange(node)}`;
    case 'number':
      return `a number${describeRange(node)}`;
    case 'string':
      return node.minLength ? `a string of at least ${plural(node.minLength, 'character')}` : 'a string';
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    case 'array':
      return `a list${describeCount(node)}${node.items ? `, each ${describeRule(node.items)}` : ''}`;
    default:
      return node.maxProperties === undefined
        ? 'an object'
        : `an object of at most ${node.maxProperties} entries`;
  }
}

/** Each rule once, and all constants as one list. */
function describeVariants(variants: readonly SchemaNode[]): string {
  const constants = describeConstants([
    ...new Set(variants.flatMap((variant) => constantsOf(variant) ?? [])),
  ]);
  const rules = variants.map((variant) =>
    constantsOf(variant) === undefined ? describeRule(variant) : constants,
  );
  return [...new Set(rules)].join(' or ');
}

/** Undefined also where a title describes them. */
function constantsOf({ title, enum: values, const: constant }: SchemaNode): readonly unknown[] | undefined {
  if (title !== undefined) return undefined;
  return values ?? (constant === undefined ? undefined : [constant]);
}

function describeConstants(constants: readonly unknown[]): string {
  const texts = constants.map((constant) => JSON.stringify(constant));
  return texts.length === 1 ? `${texts[0]}` : `one of ${texts.join(', ')}`;
}

function describeRange({ minimum, maximum, exclusiveMinimum }: SchemaNode): string {
  if (exclusiveMinimum !== undefined)
    return ` above ${exclusiveMinimum}${maximum === undefined ? '' : ` and at most ${maximum}`}`;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? '' : ` of at most ${maximum}`;
}

function describeCount({ minItems, maxItems }: SchemaNode): string {
  if (minItems && maxItems) return ` of ${minItems} to ${maxItems} entries`;
  if (minItems) return ` of at least ${plural(minItems, 'entry')}`;
  return maxItems === undefined ? '' : ` of at most ${maxItems} entries`;
}

function plural(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}
