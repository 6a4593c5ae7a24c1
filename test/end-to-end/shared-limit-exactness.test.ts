/** Four processes that share one limit in a real Valkey or Redis. The full number of decisions: shared-limit-exactness.long.ts. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { exactnessOf, hammer } from '../support/limit-exactness.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

const LIMIT = 20;
const WINDOW_MS = 100;
const bound = { kind: 'window', limit: LIMIT, windowMs: WINDOW_MS } as const;
const charge = { counter: 'key:hammered:requests_per_minute', amount: 1, bound };

async function hammered(replaced?: { readonly text: string; readonly by: string }) {
  const { address } = await startValkey({ endsWith: onTestFinished });
  const records = await hammer({
    address,
    charge,
    processes: 4,
    decisions: 1500,
    atOnce: 8,
    ...(replaced && { replaced }),
    endsWith: onTestFinished,
  });
  return exactnessOf(records, bound);
}

describe('four processes at one limit', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it('never admit more than the limit in any window, and refuse none while there is room', async () => {
    const { decisions, admitted, tooMany, tooFew } = await hammered();
    expect({ decisions, tooMany, tooFew }).toEqual({ decisions: 6000, tooMany: 0, tooFew: 0 });
    expect(admitted).toBeGreaterThanOrEqual(LIMIT);
  });

  it.each([
    [
      'forgets too early',
      'tooMany',
      { text: 'local left = c.now - c.span', by: 'local left = c.now - c.span / 2' },
    ],
    [
      'remembers too long',
      'tooFew',
      { text: 'local left = c.now - c.span', by: 'local left = c.now - c.span * 2' },
    ],
    [
      'admits one more',
      'tooMany',
      { text: '> c.limit then isAdmitted', by: '> c.limit + 1 then isAdmitted' },
    ],
  ] as const)('are found out where the script %s', async (_, found, replaced) => {
    expect((await hammered(replaced))[found]).toBeGreaterThan(0);
  });
});
