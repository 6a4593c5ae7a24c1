/** Distributions of measured values, exact: every value is kept and sorted. */
import { quantile } from '../core/quantile.ts';

/** A percentile with the bounds between which it lies with a confidence of 95 %; null where too few values were measured for one. */
export interface Percentile {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
  readonly p50: Percentile;
  readonly p90: Percentile;
  readonly p95: Percentile;
  readonly p99: Percentile;
}

export const SHARES = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 } as const;
const Z_95 = 1.959964;

/** Undefined of no values. */
export function distributionOf(values: readonly number[] | Float64Array): Distribution | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    count: sorted.length,
    mean,
    deviation: sorted.length < 2 ? 0 : Math.sqrt(squares / (sorted.length - 1)),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    p50: percentileOf(sorted, SHARES.p50),
    p90: percentileOf(sorted, SHARES.p90),
    p95: percentileOf(sorted, SHARES.p95),
    p99: percentileOf(sorted, SHARES.p99),
  };
}

/** The bounds are order statistics: whatever the distribution, the number of values below the percentile is binomial (here in its normal approximation). */
function percentileOf(sorted: Float64Array, share: number): Percentile {
  const count = sorted.length;
  const half = Z_95 * Math.sqrt(count * share * (1 - share));
  const low = Math.floor(count * share - half);
  const high = Math.ceil(count * share + half);
  return {
    value: quantile(sorted, share),
    low: low < 1 ? null : (sorted[low - 1] ?? null),
    high: high >= count ? null : (sorted[high] ?? null),
  };
}
