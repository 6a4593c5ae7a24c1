/** The one definition of a percentile of values that are all kept: bench and the replay use it. Pure. */

/** Of values sorted from small to large; `share` from 0 to 1. Between the two closest ranks, as NumPy's default; NaN of no values. */
export function quantile(sorted: Float64Array, share: number): number {
  const rank = share * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? Number.NaN;
  const above = sorted[Math.ceil(rank)] ?? below;
  return below + (above - below) * (rank - Math.floor(rank));
}
