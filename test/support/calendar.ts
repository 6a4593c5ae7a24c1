/** Days of the calendar, where a test with a real clock counts in them. */

const DAY_MS = 86_400_000;
/** More than a test takes on a busy machine. */
const FAR_MS = 60_000;

/** Resolves at once, but for the last minute of a day in UTC: then when the next one has begun. */
export async function farFromMidnight(): Promise<void> {
  const leftMs = DAY_MS - (Date.now() % DAY_MS);
  if (leftMs < FAR_MS) await new Promise((resolve) => setTimeout(resolve, leftMs));
}
