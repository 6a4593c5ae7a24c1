// Medians, percentiles and how they are shown. Pure.
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values) {
  return (percentile(values, 0.5) + [...values].sort((a, b) => a - b)[values.length >> 1]) / 2;
}

/** Median with its extremes: what is quoted of several rounds. */
export function summarize(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Of summaries, where less is better. */
export function worst(summaries) {
  return summaries.reduce((most, one) => (one.median > most.median ? one : most));
}

/** `0.91 (0.88–0.93)` */
export function show({ median: middle, min, max }, digits = 0) {
  const format = (value) => value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',');
  return `${format(middle)} (${format(min)}–${format(max)})`;
}

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}
