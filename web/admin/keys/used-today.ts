/** Pure: what each key did today, from the usage by key and hour. */
import type { UsageRow } from '../api.ts';

export interface UsedToday {
  readonly requests: number;
  readonly tokens: number;
  /** The beginning of the last hour with a request, as `14:00`. */
  readonly lastHour: string | undefined;
}

/** By the id of the key. */
export function usedToday(rows: readonly UsageRow[]): ReadonlyMap<string, UsedToday> {
  const byKey = new Map<string, UsedToday>();
  for (const row of rows) {
    const key = row.key_id ?? '';
    const before = byKey.get(key) ?? { requests: 0, tokens: 0, lastHour: undefined };
    const hour = row.requests > 0 ? timeOf(row.hour) : undefined;
    byKey.set(key, {
      requests: before.requests + row.requests,
      tokens: before.tokens + row.prompt_tokens + row.completion_tokens,
      lastHour: later(before.lastHour, hour),
    });
  }
  return byKey;
}

/** Of `2026-01-31T14` and longer. */
function timeOf(hour: string | null | undefined): string | undefined {
  const digits = /T(\d\d)/.exec(hour ?? '')?.[1];
  return digits === undefined ? undefined : `${digits}:00`;
}

function later(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}
