import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenShare, fairShares } from '../../../src/leases/fair-shares.ts';
import { runs } from '../../support/property-runs.ts';

const counts = fc.nat(40);
const wanted = fc.array(fc.record({ needs: counts, spare: fc.nat(5) }), { minLength: 1, maxLength: 12 });
const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0);

describe('the fair shares', () => {
  it.each([
    { needs: [0, 20], spare: [1, 4], slots: 8, shares: [0, 8] },
    { needs: [1, 20], spare: [1, 4], slots: 8, shares: [1, 7] },
    { needs: [5, 20], spare: [1, 4], slots: 8, shares: [4, 4] },
    { needs: [2, 3], spare: [1, 1], slots: 8, shares: [3, 4] },
    { needs: [0, 0, 0], spare: [1, 1, 1], slots: 2, shares: [1, 1, 0] },
    { needs: [], spare: [], slots: 4, shares: [] },
  ])('of $slots slots for needs of $needs are $shares', ({ needs, spare, slots, shares }) => {
    const given = needs.map((each, index) => ({ needs: each, spare: spare[index] ?? 0 }));
    expect(fairShares(slots, given, 0)).toEqual(shares);
  });

  it('are all of the slots, or all that is wanted, and nobody gets more than that', () => {
    fc.assert(
      fc.property(counts, wanted, fc.nat(100), (slots, all, turn) => {
        const shares = fairShares(slots, all, turn);
        const wants = all.map(({ needs, spare }) => needs + spare);
        expect(sumOf(shares)).toBe(Math.min(slots, sumOf(wants)));
        for (const [index, share] of shares.entries()) expect(share).toBeLessThanOrEqual(wants[index] ?? 0);
      }),
      runs(2000),
    );
  });

  it('give nobody two more than one who needs more', () => {
    fc.assert(
      fc.property(counts, wanted, fc.nat(100), (slots, all, turn) => {
        const shares = fairShares(
          slots,
          all.map(({ needs }) => ({ needs, spare: 0 })),
          turn,
        );
        const lacking = shares.filter((share, index) => share < (all[index]?.needs ?? 0));
        for (const least of lacking) for (const share of shares) expect(share).toBeLessThanOrEqual(least + 1);
      }),
      runs(2000),
    );
  });

  it('are the same for all over the turns, also where there are fewer slots than replicas', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(30), (replicas, slots) => {
        const all = Array.from({ length: replicas }, () => ({ needs: 100, spare: 1 }));
        const got = new Array<number>(replicas).fill(0);
        for (let turn = 0; turn < replicas; turn += 1)
          for (const [index, share] of fairShares(slots, all, turn).entries())
            got[index] = (got[index] ?? 0) + share;
        expect(new Set(got)).toEqual(new Set([slots]));
      }),
      runs(500),
    );
  });

  it('are even without a store, and together no more than there are', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.integer({ min: 1, max: 40 }), fc.nat(100), (slots, replicas, offset) => {
        const shares = Array.from({ length: replicas }, (_, rank) =>
          evenShare({ slots, replicas, rank, offset }),
        );
        expect(sumOf(shares)).toBe(slots);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }),
      runs(1000),
    );
  });
});
