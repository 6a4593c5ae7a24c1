/** Keys in their tables: a row for each key, and one for each of its secrets. */
import { type KeysQuery, wordsOfFilter } from '../../access/key-page.ts';
import type { KeyRecord, KeySecret } from '../../access/key-record.ts';
import type { KeysAtRevision } from '../../access/key-store.ts';
import { recordOf } from './key-of-row.ts';
import { LAST_TIME } from './row-values.ts';
import { type Dialect, type SqlRow, type SqlValue, storableText } from './sql-database.ts';

export const KEY_COLUMNS = [
  'id',
  'name',
  'team',
  'labels',
  'models',
  'highest_priority',
  'limits',
  'may_admin',
  'ever_admin',
  'created_at',
  'expires_at',
  'revoked_at',
] as const;

/** In the order of KEY_COLUMNS. */
export function keyValues(record: KeyRecord): readonly SqlValue[] {
  return [
    record.id,
    record.name,
    record.team ?? null,
    JSON.stringify(record.labels),
    record.models === undefined ? null : JSON.stringify(record.models),
    record.highestPriority ?? null,
    JSON.stringify(record.limits),
    record.mayAdmin ? 1 : 0,
    record.everAdmin ? 1 : 0,
    record.createdAt,
    record.expiresAt ?? null,
    record.revokedAt ?? null,
  ];
}

export const SECRET_COLUMNS = ['hash', 'key_id', 'position', 'shown', 'created_at', 'expires_at'] as const;

/** In the order of SECRET_COLUMNS. */
export function secretValues(keyId: string, secret: KeySecret, position: number): readonly SqlValue[] {
  return [secret.hash, keyId, position, secret.shown, secret.createdAt, secret.expiresAt ?? null];
}

const COLUMNS = `k.number, k.revision, ${KEY_COLUMNS.map((column) => `k.${column}`).join(', ')},
    s.hash AS secret_hash, s.shown AS secret_shown, s.created_at AS secret_created_at, s.expires_at AS secret_expires_at`;

const WITH_SECRETS = 'LEFT JOIN llm_serve_secrets s ON s.key_id = k.id';

/** Of a key's rows: one for each of its secrets, in their order, or one without. */
export const KEYS_WITH_SECRETS = `SELECT ${COLUMNS} FROM llm_serve_keys k ${WITH_SECRETS}`;

/** As they are at one moment, with the revisions of that. A row without `id`: there are no such keys. */
function keysAtRevision(which: string): string {
  return `SELECT r.revision AS keys_revision,
    (SELECT revision FROM llm_serve_revisions WHERE name = 'keys_deleted') AS deleted_revision, ${COLUMNS}
  FROM llm_serve_revisions r LEFT JOIN llm_serve_keys k ON ${which} ${WITH_SECRETS}
  WHERE r.name = 'keys'`;
}

/** The order that `recordsOf` needs. */
export const IN_ORDER = 'ORDER BY k.number, s.position';
export const NAMED_KEYS = `${KEYS_WITH_SECRETS} WHERE k.id = ? OR k.name = ? ${IN_ORDER}`;
export const ALL_KEYS = `${keysAtRevision('TRUE')} ${IN_ORDER}`;
/** By the index that finds them. */
export const CHANGED_KEYS = `${keysAtRevision('k.revision > ?')} ORDER BY k.revision, k.number, s.position`;

export const NUMBER_OF_KEY = 'SELECT number FROM llm_serve_keys WHERE id = ?';

/** Ids as a list in JSON. */
export const NAMES_OF_KEYS: Readonly<Record<Dialect, string>> = {
  sqlite: 'SELECT id, name FROM llm_serve_keys WHERE id IN (SELECT value FROM json_each(?))',
  postgres:
    'SELECT id, name FROM llm_serve_keys WHERE id IN (SELECT json_array_elements_text(CAST(CAST(? AS TEXT) AS JSON)))',
};

/** What `hasWords` looks into. A column that can't be read is looked into as it is. */
const TEXT_OF_KEY = "name || ' ' || coalesce(team, '') || ' ' || id || ' ' || labels";

/** In each dialect: whether it has a text. Only letters from A to Z have a small one. */
const HAS_WORD: Readonly<Record<Dialect, string>> = {
  sqlite: `instr(lower(${TEXT_OF_KEY}), ?) > 0`,
  postgres: `strpos(lower((${TEXT_OF_KEY}) COLLATE "C"), ?) > 0`,
};

/** A time that can't be read revokes nothing. */
const NOT_REVOKED = `(revoked_at IS NULL OR revoked_at NOT BETWEEN -${LAST_TIME} AND ${LAST_TIME})`;

/** Behind the key with that number, one more than the page has. */
export function pageOfKeys(
  { limit, filter, withRevoked }: KeysQuery,
  { dialect, afterNumber }: { readonly dialect: Dialect; readonly afterNumber: number },
): { readonly text: string; readonly parameters: readonly SqlValue[] } {
  const words = wordsOfFilter(filter).map(storableText);
  const conditions = [
    'number > ?',
    ...(withRevoked ? [] : [NOT_REVOKED]),
    ...words.map(() => HAS_WORD[dialect]),
  ];
  return {
    text: `SELECT ${COLUMNS} FROM (SELECT * FROM llm_serve_keys WHERE ${conditions.join(' AND ')} ORDER BY number LIMIT ?) k
      ${WITH_SECRETS} ${IN_ORDER}`,
    parameters: [afterNumber, ...words, limit + 1],
  };
}

/** Of CHANGED_KEYS since a revision. Undefined: they may not be all. */
export function changesOf(rows: readonly SqlRow[], since: number): KeysAtRevision | undefined {
  const { keys_revision: now = 0, deleted_revision: deleted = 0 } = rows[0] ?? {};
  const revision = Number(now);
  if (since > revision || since < Number(deleted)) return undefined;
  const changed = rows.filter(({ id }) => id !== null);
  // Who changes a key gives it the newest revision. Where none has it, the triggers are missing, or somebody has raised it by hand.
  if (since < revision && Number(changed.at(-1)?.revision) !== revision) return undefined;
  // As they were added, which is the order of all keys: those that are new have higher numbers than all that were known.
  return {
    revision,
    records: recordsOf(changed.sort((one, other) => Number(one.number) - Number(other.number))),
  };
}

export function allOf(rows: readonly SqlRow[]): KeysAtRevision {
  return {
    revision: Number(rows[0]?.keys_revision),
    records: recordsOf(rows.filter(({ id }) => id !== null)),
  };
}

export function recordsOf(rows: readonly SqlRow[]): readonly KeyRecord[] {
  const rowsOf = new Map<SqlValue | undefined, { readonly row: SqlRow; readonly secrets: SqlRow[] }>();
  for (const row of rows) {
    let entry = rowsOf.get(row.id);
    if (entry === undefined) {
      entry = { row, secrets: [] };
      rowsOf.set(row.id, entry);
    }
    if (row.secret_hash !== null) entry.secrets.push(row);
  }
  return [...rowsOf.values()].map(({ row, secrets }) => recordOf(row, secrets));
}
