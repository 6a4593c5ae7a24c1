/** What columns may hold, whoever wrote them. Nothing here throws. Pure. */
import type { SqlValue } from './sql-database.ts';

/** What a Date can hold. */
export const LAST_TIME = 8.64e15;

/** Itself where it is no JSON: that is nothing that is looked for then. */
export function parsed(value: SqlValue | undefined): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
