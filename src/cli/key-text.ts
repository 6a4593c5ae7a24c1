/** Keys as people read them in a terminal. Pure. */

import type { KeyRecord } from '../access/key-record.ts';
import { keyState } from '../access/key-view.ts';
import { LIMIT_NAMES, type Limits } from '../core/limit-names.ts';
import { printableLine } from '../core/log.ts';
import { table } from '../core/text-columns.ts';

/** A line for each; the header is the first. */
export function keyTable(records: readonly KeyRecord[], now: number): readonly string[] {
  const rows = records.map((record) =>
    [
      record.name,
      record.id,
      record.secrets[0]?.shown || '?',
      record.team ?? '-',
      limitsText(record.limits) || '-',
      stateText(record, now),
    ].map(printableLine),
  );
  return table([['NAME', 'ID', 'KEY', 'TEAM', 'LIMITS', 'STATE'], ...rows]);
}

/** Labelled lines: everything that is known of it. */
export function keyLines(record: KeyRecord, now: number): readonly string[] {
  const { id, name, secrets, team, labels, models, highestPriority, limits, mayAdmin, createdAt } = record;
  const [newest, ...older] = secrets;
  const overlaps = older.filter(({ expiresAt = 0 }) => expiresAt > now && record.revokedAt === undefined);
  const rows: (readonly [string, string])[] = [
    ['name', name],
    ['id', id],
    ['key', newest?.shown ? `${newest.shown}…` : 'only its hash is known'],
    ...overlaps.map(
      ({ shown, expiresAt = 0 }) =>
        ['older key', `${shown === '' ? '' : `${shown}…, `}accepted until ${timeText(expiresAt)}`] as const,
    ),
    ['state', stateText(record, now)],
    ['team', team ?? 'none'],
    ...Object.entries(labels).map(([label, value]) => ['label', `${label}=${value}`] as const),
    ['models', models?.join(', ') ?? 'all'],
    ['highest priority', highestPriority ?? 'as the configuration allows the address'],
    ['limits', limitsText(limits) || 'none of its own'],
    ['may administer', mayAdmin ? 'yes' : 'no'],
    ['created', timeText(createdAt)],
  ];
  return rows.map(([label, text]) => printableLine(`${label.padEnd(16)} ${text}`));
}

/** `requests_per_minute 3, tokens_per_day 100000`: by the names of the options and of the configuration. */
export function limitsText(limits: Limits): string {
  return LIMIT_NAMES.flatMap((name) => (limits[name] === undefined ? [] : `${name} ${limits[name]}`)).join(
    ', ',
  );
}

function stateText(record: KeyRecord, now: number): string {
  const { expiresAt, revokedAt } = record;
  switch (keyState(record, now)) {
    case 'damaged':
      return `refused: ${record.damage} can’t be read`;
    case 'revoked':
      return `revoked ${timeText(revokedAt ?? 0)}`;
    case 'expired':
      return `expired ${timeText(expiresAt ?? 0)}`;
    case 'active':
      return expiresAt === undefined ? 'active' : `active until ${timeText(expiresAt)}`;
  }
}

/** `2027-01-31 12:00 UTC` */
export function timeText(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
