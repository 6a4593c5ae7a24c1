// What is kept of figures in bench/results. Pure.

/** Five digits of every number: more would only fill the file. */
export function shortened(value) {
  if (typeof value === 'number') return Number(value.toPrecision(5));
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, shortened(of)]));
}
