/** The charts of bench/chart: the same figures give the same picture, and everything is in it. */
import { expect, it } from 'vitest';

type Draw = (of: object) => string;
const bench = (path: string) => import(new URL(`../../../bench/${path}`, import.meta.url).href);
const { lineChart }: { lineChart: Draw } = await bench('chart/line-chart.mjs');
const { barChart }: { barChart: Draw } = await bench('chart/bar-chart.mjs');
const { createScale } = await bench('chart/scale.mjs');

const LINES = {
  title: 'Goodput & more',
  subtitle: 'simulated',
  x: { label: 'load', min: 0, max: 2 },
  y: { label: '%', min: 0, max: 100 },
  series: [
    { label: 'one', style: 0, points: [0, 1, 2].map((x) => ({ x, y: 10 * x, low: 9 * x, high: 11 * x })) },
    { label: 'a < b', style: 1, dashed: true, points: [{ x: 1, y: 50 }] },
  ],
};
const BARS = {
  title: 'Queue time',
  subtitle: 'simulated',
  x: { label: '' },
  y: { label: 's', type: 'log', min: 0.1, max: 100 },
  groups: [{ label: 'light', values: [{ value: 1 }, { value: 0 }] }],
  series: [
    { label: 'one', style: 0 },
    { label: 'two', style: 1 },
  ],
  target: { value: 5, label: 'target: 5 s' },
  show: (value: number) => `${value} s`,
};

it.each([
  ['lines', () => lineChart(LINES), ['Goodput &amp; more', 'a &lt; b', 'load', '>100<']],
  ['bars', () => barChart(BARS), ['Queue time', 'light', '>1 s<', 'target: 5 s']],
])('a chart of %s is deterministic, names everything, and has no number that is none', (_, draw, words) => {
  const svg = draw();
  expect(draw()).toBe(svg);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  for (const word of words) expect(svg).toContain(word);
});

it.each([
  [{ min: 0, max: 100 }, [0, 20, 40, 60, 80, 100]],
  [{ min: 0, max: 1 }, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [{ type: 'log', min: 0.03, max: 200 }, [0.1, 1, 10, 100]],
])('the ticks of %o are round', (axis, ticks) => {
  expect(createScale(axis, { from: 0, to: 1 }).ticks).toEqual(ticks);
});
