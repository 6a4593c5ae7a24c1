/** Over 100,000 recorded decisions of four processes: see shared-limit-exactness.test.ts. */
import { expect, it, onTestFinished } from 'vitest';
import { exactnessOf, hammer } from '../support/limit-exactness.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

it.each([
  { limit: 20, windowMs: 50 },
  { limit: 1000, windowMs: 1000 },
  { limit: 4000, windowMs: 2500 },
])('four processes keep $limit in $windowMs ms exactly', async ({ limit, windowMs }) => {
  if (MISSING_VALKEY !== undefined) return;
  const { address } = await startValkey({ endsWith: onTestFinished });
  const bound = { kind: 'window', limit, windowMs } as const;
  const charge = { counter: 'key:hammered:requests_per_minute', amount: 1, bound };
  const options = { processes: 4, decisions: 26_000, atOnce: 16, endsWith: onTestFinished };
  const exactness = exactnessOf(await hammer({ address, charge, ...options }), bound);
  process.stdout.write(`${JSON.stringify({ limit, windowMs, ...exactness })}\n`);
  expect(exactness).toMatchObject({ decisions: 104_000, tooMany: 0, tooFew: 0 });
  expect(exactness.admitted).toBeGreaterThanOrEqual(limit);
});
