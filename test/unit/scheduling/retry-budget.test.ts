import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from '../../../src/scheduling/retry-budget.ts';

/** Takes as many retries as are allowed at that time. */
function takeAll(budget: RetryBudget, now: number): number {
  let taken = 0;
  while (taken < 10_000 && budget.allows(now)) {
    budget.retried(now);
    taken += 1;
  }
  return taken;
}

describe('the retry budget', () => {
  it('is a part of the requests of the last ten seconds', () => {
    const budget = new RetryBudget(() => ({ percent: 20, perSecond: 0 }));
    expect(takeAll(budget, 0)).toBe(0);
    for (let request = 0; request < 100; request += 1) budget.requested(request * 50);
    expect(takeAll(budget, 5000)).toBe(20);
    expect(takeAll(budget, 9999)).toBe(0);
  });

  it('is a fixed rate where there are few requests', () => {
    const budget = new RetryBudget(() => ({ percent: 20, perSecond: 10 }));
    expect(takeAll(budget, 0)).toBe(100);
    expect(takeAll(budget, 9999)).toBe(0);
    expect(takeAll(budget, 10_000)).toBe(100);
  });

  it('is empty where both are 0', () => {
    const budget = new RetryBudget(() => ({ percent: 0, perSecond: 0 }));
    budget.requested(0);
    expect(budget.allows(0)).toBe(false);
  });

  it('follows its settings while it is used', () => {
    let perSecond = 0;
    const budget = new RetryBudget(() => ({ percent: 0, perSecond }));
    expect(budget.allows(0)).toBe(false);
    perSecond = 1;
    expect(budget.allows(0)).toBe(true);
  });

  it('forgets everything after a long silence, and keeps its count when the clock goes back', () => {
    const budget = new RetryBudget(() => ({ percent: 100, perSecond: 0 }));
    for (let request = 0; request < 5; request += 1) budget.requested(20_000);
    expect(takeAll(budget, 19_000)).toBe(5);
    expect(budget.allows(20_000)).toBe(false);
    budget.requested(1_000_000);
    expect(takeAll(budget, 1_000_000)).toBe(1);
  });

  it('is never exceeded in any ten seconds', () => {
    const steps = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 3000 }), retries: fc.boolean() }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(steps, (taken) => {
        const budget = new RetryBudget(() => ({ percent: 0, perSecond: 1 }));
        const retriedAt: number[] = [];
        let now = 0;
        for (const { afterMs, retries } of taken) {
          now += afterMs;
          if (!retries || !budget.allows(now)) continue;
          budget.retried(now);
          retriedAt.push(now);
          // Whole seconds are counted, so the window is nine to ten seconds long.
          expect(retriedAt.filter((at) => at > now - 9000).length).toBeLessThanOrEqual(10);
        }
      }),
    );
  });
});
