/**
 * A key from what its row holds. Nothing here throws: a row that another program wrote, or an earlier fault of this one, must not keep the
 * others from being read. What can't be read becomes `damage`, and with it the key opens nothing. Pure.
 */
import type { KeyRecord, KeySecret } from '../../access/key-record.ts';
import { LIMIT_NAMES, type Limits } from '../../core/limit-names.ts';
import { PRIORITIES, type Priority } from '../../core/priority.ts';
import { isMap, LAST_TIME, parsed } from './row-values.ts';
import type { SqlRow, SqlValue } from './sql-database.ts';

/** `secrets`: the rows that have them, in their order. */
export function recordOf(row: SqlRow, secrets: readonly SqlRow[]): KeyRecord {
  const damaged = new Set<string>();
  /** `fallback`, which gives no right, where the value is none of those. */
  const reader =
    (unpacked: (value: SqlValue | undefined) => unknown) =>
    <Value>(column: string, isOne: (value: unknown) => value is Value, fallback: Value): Value => {
      const value = unpacked(row[column] ?? undefined);
      if (isOne(value)) return value;
      damaged.add(column);
      return fallback;
    };
  const read = reader((value) => value);
  const readJson = reader(parsed);
  const record: KeyRecord = {
    id: read('id', isText, String(row.id)),
    name: read('name', isText, String(row.name)),
    secrets: secrets.map((secret) => secretOf(secret, damaged)),
    team: read('team', isTextOrNone, undefined),
    labels: readJson('labels', isTexts, {}),
    models: readJson('models', isListOrNone, []),
    highestPriority: read('highest_priority', isPriorityOrNone, undefined),
    limits: readJson('limits', isLimits, {}),
    mayAdmin: read('may_admin', isFlag, 0) === 1,
    // The door that it shuts stays shut.
    everAdmin: read('ever_admin', isFlag, 1) === 1,
    createdAt: read('created_at', isTime, 0),
    expiresAt: read('expires_at', isTimeOrNone, undefined),
    revokedAt: read('revoked_at', isTimeOrNone, undefined),
  };
  return damaged.size === 0 ? record : { ...record, damage: [...damaged].join(', ') };
}

function secretOf(row: SqlRow, damaged: Set<string>): KeySecret {
  const createdAt = row.secret_created_at;
  const expiresAt = row.secret_expires_at ?? undefined;
  if (!isTime(createdAt)) damaged.add('created_at of a secret');
  if (!isTimeOrNone(expiresAt)) damaged.add('expires_at of a secret');
  return {
    hash: String(row.secret_hash),
    shown: String(row.secret_shown),
    createdAt: isTime(createdAt) ? createdAt : 0,
    expiresAt: isTimeOrNone(expiresAt) ? expiresAt : undefined,
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function isFlag(value: unknown): value is number {
  return value === 0 || value === 1;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= LAST_TIME;
}

function isTimeOrNone(value: unknown): value is number | undefined {
  return value === undefined || isTime(value);
}

function isPriorityOrNone(value: unknown): value is Priority | undefined {
  return value === undefined || PRIORITIES.some((priority) => priority === value);
}

function isListOrNone(value: unknown): value is readonly string[] | undefined {
  return value === undefined || (Array.isArray(value) && value.every(isText));
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isMap(value) && Object.values(value).every(isText);
}

/** Those of a newer version are left to it. */
function isLimits(value: unknown): value is Limits {
  return isMap(value) && LIMIT_NAMES.every((name) => value[name] === undefined || isAmount(value[name]));
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
