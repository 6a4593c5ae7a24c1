/** Days and times as people and programs write them, of ISO 8601. JavaScript would take 30 February for 2 March. */

/** A date alone begins at midnight UTC; a time has its zone. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/i;
const DATE_LENGTH = '2026-01-31'.length;

/** Whether a text of the form 2026-01-31 is a day. */
export function isCalendarDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}

/** Milliseconds since the Unix epoch. Undefined: it is no date, and no date with a time and its zone. */
export function parseIsoTime(text: string): number | undefined {
  if (!ISO_TIME.test(text) || !isCalendarDay(text.slice(0, DATE_LENGTH))) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
