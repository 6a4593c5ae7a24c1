/**
 * The search for what is wrong with a value visits all of it and keeps notes of each entry: of a list with a million wrong entries
 * that would take a minute and gigabytes. So long lists are cut down to where their first fault is before they are searched.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { SchemaNode } from './schema-node.ts';

export interface Shortened {
  readonly value: unknown;
  /** Field → how many of its entries are left out before those that remain. */
  readonly firstEntries: ReadonlyMap<string, number>;
}

const LONG = 100;

/** For objects whose fields are lists; other values stay as they are, but for a list that should be none. */
export function listShortener({ properties = {} }: SchemaNode): (value: unknown) => Shortened {
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
