/**
 * The search for what is wrong with a value visits all of it and keeps notes of each entry: of a list with a million wrong entries
 * that would take a minute and gigabytes. So long lists are cut down to where their first fault is before they are searched.
 */

import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { SchemaNode } from './schema.ts';

interface Shortened {
  readonly value: unknown;
  /** Field → how many of its entries are left out before those that remain. */
  readonly firstEntries: ReadonlyMap<string, number>;
}

const LONG = 100;

/** For objects whose fields are lists; other values stay as they are, but for a list that should be none. */
function listShortener({ properties = {} }: SchemaNode): (value: unknown) => Shortened {
  const entryChecks = new Map<string, (entry: unknown) => boolean>();
  const checkFor = (field: string, items: SchemaNode) => {
    const known = entryChecks.get(field);
    if (known !== undefined) return known;
    const validator = Compile(items as TSchema);
    const check = (entry: unknown) => validator.Check(entry);
    entryChecks.set(field, check);
    return check;
  };
  const firstFault = (field: string, list: readonly unknown[]): number => {
    const items = Object.hasOwn(properties, field) ? properties[field]?.items : undefined;
    if (items === undefined) return 0;
    const check = checkFor(field, items);
    // Where no entry is wrong, it is their number.
    return Math.max(
      0,
      list.findIndex((entry) => !check(entry)),
    );
  };
  return (value) => {
    const firstEntries = new Map<string, number>();
    if (Array.isArray(value)) return { value: value.slice(0, 1), firstEntries };
    if (typeof value !== 'object' || value === null) return { value, firstEntries };
    const entries = Object.entries(value).map(([field, inner]) => {
      if (!Array.isArray(inner) || inner.length <= LONG) return [field, inner];
      const at = firstFault(field, inner);
      firstEntries.set(field, at);
      return [field, inner.slice(at, at + kept(properties, field))];
    });
    return { value: Object.fromEntries(entries), firstEntries };
  };
}

/** So many that a list with too many still has too many. */
function kept(properties: Readonly<Record<string, SchemaNode>>, field: string): number {
  const most = Object.hasOwn(properties, field) ? properties[field]?.maxItems : undefined;
  return most === undefined ? LONG : most + 1;
}

/**
 * What is wrong with a value, said so that a person can mend it: the field, the value, the rule.
 * Used for requests and for configuration; the rule's words are made from the schema itself.
 */

export interface Violation {
  readonly kind: 'unknown' | 'missing' | 'wrong';
  /** `messages[0].role`; empty for the value as a whole. */
  readonly path: string;
  readonly value: unknown;
  /** The schema says that it must never be shown. */
  readonly secret: boolean;
  /** What is allowed there: "an integer from 1 to 65535". */
  readonly rule: string;
}

type Checked<Value> = { readonly value: Value } | { readonly violation: Violation };

const SHOWN_CHARACTERS = 60;

/** Compiles the schema once; the function answers with the typed value or the first violation. */
export function compileCheck<Value>(schema: TSchema): (value: unknown) => Checked<Value> {
  const validator = Compile(schema);
  const shorten = listShortener(schema as SchemaNode);
  return (whole) => {
    if (validator.Check(whole)) return { value: whole as Value };
    const node = schema as SchemaNode;
    const { value, firstEntries } = shorten(whole);
    const [first] = validator.Errors(value);
    if (!first) return { violation: faultOf(whole, node, firstEntries.keys().next().value) };
    const missing = (first.params as { requiredProperties?: string[] }).requiredProperties?.[0];
    const segments = first.instancePath.split('/').slice(1).map(unescapePointer);
    const [field = '', entry] = segments;
    const skipped = firstEntries.get(field);
    if (skipped !== undefined && entry !== undefined) segments[1] = String(Number(entry) + skipped);
    return {
      violation: violationAt({
        root: node,
        value: whole,
        segments: missing ? [...segments, missing] : segments,
        missing: missing !== undefined,
      }),
    };
  };
}

/** Of the value as a whole; or of a long list in it, where the fault is in none of the entries that were looked at. */
function faultOf(value: unknown, root: SchemaNode, field: string | undefined): Violation {
  const node = field === undefined ? root : (ownProperty(root.properties, field) ?? root);
  const shown = field === undefined ? value : (value as Readonly<Record<string, unknown>>)[field];
  return { kind: 'wrong', path: field ?? '', value: shown, secret: false, rule: describeRule(node) };
}

function violationAt(at: {
  root: SchemaNode;
  value: unknown;
  segments: readonly string[];
  missing: boolean;
}): Violation {
  let node = at.root;
  let value = at.value;
  let path = '';
  for (const segment of at.segments) {
    if (node.anyOf) break;
    const parent = node;
    const child = node.items ?? ownProperty(node.properties, segment) ?? valuesOf(node);
    path += node.items ? `[${segment}]` : `${path === '' ? '' : '.'}${segment}`;
    value = Object.hasOwn(Object(value), segment) ? (value as Record<string, unknown>)[segment] : undefined;
    if (!child) {
      const known = Object.keys(parent.properties ?? {}).join(', ');
      return { kind: 'unknown', path, value, secret: true, rule: `one of the known names: ${known}` };
    }
    node = child;
  }
  const secret = node.secret === true || node.items?.secret === true;
  return { kind: at.missing ? 'missing' : 'wrong', path, value, secret, rule: describeRule(node) };
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

/** The value itself, shortened: whoever sent it may see it. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'not given';
  const text = jsonStart(value, SHOWN_CHARACTERS);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

/** As `JSON.stringify` writes it; of a value that needs more than `room` characters so many at least, and no deeper. */
function jsonStart(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, room + 1));
  // 1e999 is read as Infinity, which is written as null.
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? String(value);
  const isList = Array.isArray(value);
  let text = isList ? '[' : '{';
  for (const key in value) {
    if (text.length > room) return text;
    if (text.length > 1) text += ',';
    if (!isList) text += `${jsonStart(key, room - text.length)}:`;
    text += jsonStart((value as Readonly<Record<string, unknown>>)[key], room - text.length);
  }
  return text + (isList ? ']' : '}');
}

/** Only the kind of what holds other values: in the wrong place it may hold a secret. */
export function showWithoutContents(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : showValue(value);
}

/** The rule of one field in words, from the schema's own keywords. */
export function describeRule(node: SchemaNode): string {
  if (node.title) return node.title;
  if (node.anyOf) return node.anyOf.map(describeRule).join(' or ');
  if (node.enum) return `one of ${node.enum.map((option) => JSON.stringify(option)).join(', ')}`;
  if (node.const !== undefined) return JSON.stringify(node.const);
  switch (node.type) {
    case 'integer':
      return `an integer${describeRange(node)}`;
    case 'number':
      return `a number${describeRange(node)}`;
    case 'string':
      return node.minLength ? `a string of at least ${plural(node.minLength, 'character')}` : 'a string';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${describeCount(node)}${node.items ? `, each ${describeRule(node.items)}` : ''}`;
    default:
      return node.maxProperties === undefined
        ? 'an object'
        : `an object of at most ${node.maxProperties} entries`;
  }
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

/** A field called `constructor` is not one that every object has. */
function ownProperty(properties: SchemaNode['properties'], name: string): SchemaNode | undefined {
  return properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

function valuesOf({ patternProperties = {} }: SchemaNode): SchemaNode | undefined {
  return Object.values(patternProperties)[0];
}

function unescapePointer(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}
