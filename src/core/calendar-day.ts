/** Whether a text of the form 2026-01-31 is a day: JavaScript takes 30 February for 2 March. */
export function isCalendarDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}
