// What a figure is to reach, and the table at the top of docs/benchmarks.md that says of each whether it does.
import { show, table } from './statistics.mjs';

export const atMost = (bound) => ({ text: `at most ${bound}`, isMet: (value) => value <= bound });
export const atLeast = (bound) => ({ text: `at least ${bound}`, isMet: (value) => value >= bound });

/** One line of the table: `summary` is of the rounds, its median is what counts. */
export function target(what, bound, summary, digits) {
  return { what, bound: bound.text, figure: show(summary, digits), isMet: bound.isMet(summary.median) };
}

/** `measured`: of each version of Node its targets. */
export function targetsTable(measured) {
  const whats = new Map(measured.flatMap(({ targets }) => targets.map(({ what, bound }) => [what, bound])));
  const rows = [...whats].map(([what, bound]) => [
    what,
    bound,
    ...measured.map(({ targets }) => {
      const found = targets.find((one) => one.what === what);
      return found ? `${found.figure}, ${found.isMet ? 'met' : '**missed**'}` : '–';
    }),
  ]);
  return table(['', 'target', ...measured.map(({ node }) => `Node ${node}`)], rows);
}
