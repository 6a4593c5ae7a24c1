/** A key as it is shown: by the command line's --json, the admin API and its page. Never a secret, nor its hash. Pure. */
import { type Static, Type } from 'typebox';
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName } from '../core/limit-names.ts';
import { PRIORITIES } from '../core/priority.ts';
import type { KeyRecord } from './key-record.ts';

/** Times are ISO 8601 in UTC; null where there is none. */
export type KeyView = Static<typeof KeyViewSchema>;

/** `now`: since the Unix epoch. */
export function keyView(record: KeyRecord, now: number): KeyView {
  const { id, name, secrets, team, labels, models, highestPriority, limits, mayAdmin } = record;
  const [newest, ...older] = secrets;
  const overlapUntil = Math.max(...older.map(({ expiresAt }) => expiresAt ?? Number.POSITIVE_INFINITY));
  const overlaps = record.revokedAt === undefined && overlapUntil > now && Number.isFinite(overlapUntil);
  return {
    id,
    name,
    shown: newest?.shown ?? '',
    team: team ?? null,
    labels: { ...labels },
    models: models === undefined ? null : [...models],
    highest_priority: highestPriority ?? null,
    limits: { ...limits },
    may_admin: mayAdmin,
    created_at: isoTime(record.createdAt),
    expires_at: isoTimeOrNull(record.expiresAt),
    revoked_at: isoTimeOrNull(record.revokedAt),
    overlap_until: overlaps ? isoTime(overlapUntil) : null,
    ...(record.damage !== undefined && { damage: record.damage }),
  };
}

export type KeyState = 'active' | 'expired' | 'revoked' | 'damaged';

export function keyState({ revokedAt, expiresAt, damage }: KeyRecord, now: number): KeyState {
  if (damage !== undefined) return 'damaged';
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'active';
}

const timeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description });

const limitValues = Object.fromEntries(
  LIMIT_NAMES.map((name) => [
    name,
    Type.Optional(Type.Number({ description: LIMIT_KINDS[name].description })),
  ]),
) as Record<LimitName, ReturnType<typeof Type.Optional<ReturnType<typeof Type.Number>>>>;

/** For the API description. */
export const KeyViewSchema = Type.Object({
  id: Type.String({ description: 'Stays when the secret is rotated.' }),
  name: Type.String(),
  shown: Type.String({ description: 'The beginning of its secret; empty where only a hash was imported.' }),
  team: Type.Union([Type.String(), Type.Null()]),
  labels: Type.Record(Type.String(), Type.String()),
  models: Type.Union([Type.Array(Type.String()), Type.Null()], {
    description: 'Those that it may use; null: all.',
  }),
  highest_priority: Type.Union([Type.Enum([...PRIORITIES]), Type.Null()]),
  limits: Type.Object(limitValues, { description: 'Its own; those of the configuration come on top.' }),
  may_admin: Type.Boolean(),
  created_at: Type.String({ format: 'date-time' }),
  expires_at: timeOrNull('From then on it is refused; null: never.'),
  revoked_at: timeOrNull('Since then it is refused.'),
  overlap_until: timeOrNull('Until then the secret before the newest is accepted as well.'),
  damage: Type.Optional(
    Type.String({
      description:
        'What of it can’t be read from the store: it is refused, and can only be revoked. Absent: nothing.',
    }),
  ),
});

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

function isoTimeOrNull(time: number | undefined): string | null {
  return time === undefined ? null : isoTime(time);
}
