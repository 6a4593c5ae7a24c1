/**
 * Keys that exist elsewhere, as `llm-serve keys import` reads them from standard input: a list, JSON lines, or one JSON array. Pure.
 * Errors name the line and never show it: it holds a secret.
 */
import { type ImportedKey, type ImportedSecret, secretHashOf } from '../access/key-administration.ts';
import { readNewKey } from '../access/key-fields.ts';
import { ConfigError } from '../config/config-error.ts';
import type { KeyFieldValues } from './key-options.ts';

/** As clients can send it in a header. */
const KEY = /^[\x21-\x7e]{8,512}$/;
/** SHA-256 of the key. In a list it needs its prefix, as it could be a key itself. */
const PREFIXED_HASH = /^sha256:([0-9a-f]{64})$/i;
const HASH = /^(?:sha256:)?([0-9a-f]{64})$/i;

interface ImportOptions {
  /** Set by options, for all of them; those of a line count more. */
  readonly fields: KeyFieldValues;
  /** Names of the keys that are not revoked. */
  readonly taken: ReadonlySet<string>;
  /** Hashes of the keys that are in the store: such a line is not added, so its name may be taken. */
  readonly held: ReadonlySet<string>;
  /** Since the Unix epoch. */
  readonly now: number;
}

type Line = { readonly place: string } & (
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly value: unknown }
);

/** All of them, or a ConfigError for the first that is wrong. */
export function readImportedKeys(
  text: string,
  { fields, taken, held, now }: ImportOptions,
): readonly ImportedKey[] {
  const names = new Set(taken);
  const given = linesOf(text).map((line) => ({ place: line.place, ...entryOf(line) }));
  requireFreeNames(given, { taken, held });
  for (const { fields: own } of given) if (typeof own.name === 'string') names.add(own.name);
  return given.map(({ place, secret, fields: own }) => {
    const name = own.name ?? freeName(names);
    try {
      return { settings: readNewKey({ ...fields, ...own, name }, now), ...secret };
    } catch (error) {
      throw new ConfigError(`${place}: ${(error as Error).message}`);
    }
  });
}

/** Before the first is added: otherwise an import would stop in its middle. */
function requireFreeNames(
  given: readonly (Entry & { readonly place: string })[],
  { taken, held }: Pick<ImportOptions, 'taken' | 'held'>,
): void {
  const placeOf = new Map<string, string>();
  const hashes = new Set(held);
  for (const { place, secret, fields } of given) {
    const hash = secretHashOf(secret);
    if (hashes.has(hash) || typeof fields.name !== 'string') continue;
    hashes.add(hash);
    const name = JSON.stringify(fields.name);
    const other = placeOf.get(fields.name);
    if (other !== undefined) throw new ConfigError(`${place}: ${other} has the name ${name} too.`);
    if (taken.has(fields.name)) throw new ConfigError(`${place}: there is a key named ${name} already.`);
    placeOf.set(fields.name, place);
  }
}

function linesOf(text: string): readonly Line[] {
  if (text.trimStart().startsWith('[')) {
    const values = parsed(text, 'Standard input');
    if (!Array.isArray(values)) throw new ConfigError('Standard input must be a JSON array.');
    return values.map((value: unknown, index) => ({ place: `Entry ${index + 1}`, kind: 'value', value }));
  }
  return text.split(/\r?\n/).flatMap((line, index): Line[] => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const place = `Line ${index + 1}`;
    if (!/^["{]/.test(trimmed)) return [{ place, kind: 'text', text: trimmed }];
    return [{ place, kind: 'value', value: parsed(trimmed, place) }];
  });
}

function parsed(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(`${place} is not valid JSON.`);
  }
}

interface Entry {
  readonly secret: ImportedSecret;
  readonly fields: Readonly<Record<string, unknown>>;
}

function entryOf(line: Line): Entry {
  if (line.kind === 'text') return listEntry(line.text, line.place, { isPlain: true });
  const { value, place } = line;
  if (typeof value === 'string') return listEntry(value, place, { isPlain: false });
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${place} must be a key, or an object with name and key, or name and hash.`);
  const { key, hash, ...fields } = value as Readonly<Record<string, unknown>>;
  if ((key === undefined) === (hash === undefined))
    throw new ConfigError(`${place} must have a key or a hash: one of them.`);
  return { secret: key === undefined ? { hash: hashIn(hash, place) } : { key: keyIn(key, place) }, fields };
}

/** `KEY`, `NAME KEY`; a hash in place of the key as `sha256:` and 64 hexadecimal digits. */
function listEntry(text: string, place: string, { isPlain }: { readonly isPlain: boolean }): Entry {
  const at = text.search(/\s+\S+$/);
  const name = at === -1 ? undefined : text.slice(0, at).trim();
  const secret = at === -1 ? text : text.slice(at).trim();
  if (name !== undefined && /^(sk-|sha256:)/.test(name))
    throw new ConfigError(`${place}: the name looks like a key. Write the name first, then the key.`);
  if (isPlain && (/[,;]/.test(secret) || /[,;]$/.test(name ?? '')))
    throw new ConfigError(
      `${place} has a comma or a semicolon, and looks like a table. Write NAME KEY, or JSON, which may have any key.`,
    );
  const [, hash] = PREFIXED_HASH.exec(secret) ?? [];
  return {
    secret: hash === undefined ? { key: keyIn(secret, place) } : { hash: hash.toLowerCase() },
    fields: name === undefined ? {} : { name },
  };
}

function keyIn(value: unknown, place: string): string {
  // A hash that was cut off would be a key of its own, and whoever knows the hash could call with it.
  if (typeof value === 'string' && /^sha256:/i.test(value))
    throw new ConfigError(
      `${place}: sha256: must be followed by 64 hexadecimal digits, the SHA-256 of the whole key; as "hash" in JSON.`,
    );
  if (typeof value === 'string' && KEY.test(value)) return value;
  throw new ConfigError(
    `${place}: a key must have 8 to 512 characters, without spaces and letters beyond ASCII.`,
  );
}

function hashIn(value: unknown, place: string): string {
  const [, hash] = typeof value === 'string' ? (HASH.exec(value) ?? []) : [];
  if (hash !== undefined) return hash.toLowerCase();
  throw new ConfigError(
    `${place}: hash must be the SHA-256 of the whole key, as 64 hexadecimal digits, with or without sha256: before it.`,
  );
}

/** Added to the names that are taken. */
function freeName(names: Set<string>): string {
  let number = 1;
  while (names.has(`imported-${number}`)) number += 1;
  const name = `imported-${number}`;
  names.add(name);
  return name;
}
