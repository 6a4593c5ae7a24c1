/** Distributions of measured values. */
import { expect, it } from 'vitest';
import { RandomSource } from '../../../src/bench/random.ts';
import { distributionOf } from '../../../src/bench/statistics.ts';

it('percentiles lie between the closest ranks, as NumPy has them', () => {
  const { p50, p90, p99, mean, deviation, min, max } = distributionOf([4, 1, 3, 2])!;
  expect([p50.value, p90.value, p99.value]).toEqual([2.5, 3.7, expect.closeTo(3.97, 9)]);
  expect([mean, min, max]).toEqual([2.5, 1, 4]);
  expect(deviation).toBeCloseTo(1.2909944, 6);
});

it('nothing has no distribution, and one value is all of its percentiles', () => {
  expect(distributionOf([])).toBeUndefined();
  expect(distributionOf([7])).toMatchObject({
    mean: 7,
    deviation: 0,
    p50: { value: 7, low: null, high: null },
  });
});

it('a percentile has bounds only where enough values were measured', () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  const { p50, p99 } = distributionOf(values)!;
  expect([p50.low, p50.high]).toEqual([40, 61]);
  expect(p99.high).toBeNull();
});

it('the bounds of the median hold the true one in about 95 of 100 samples', () => {
  const random = new RandomSource(1);
  const held = Array.from({ length: 1000 }, () => {
    const { p50 } = distributionOf(Array.from({ length: 60 }, () => random.normal()))!;
    return p50.low! <= 0 && p50.high! >= 0;
  }).filter(Boolean).length;
  expect(held).toBeGreaterThan(930);
  expect(held).toBeLessThan(985);
});
