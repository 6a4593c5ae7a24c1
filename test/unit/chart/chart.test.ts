/** Charts: the same figures give the same picture, everything is in it, and it can be read on white and on black. */
import { describe, expect, it } from 'vitest';
import { barChart } from '../../../src/chart/bar-chart.ts';
import { lineChart } from '../../../src/chart/line-chart.ts';
import { createScale, roundMax } from '../../../src/chart/scale.ts';
import { AUTO, DARK, LIGHT, type Theme } from '../../../src/chart/theme.ts';

const LINES = {
  title: 'Goodput & more',
  subtitle: 'simulated',
  x: { label: 'load', min: 0, max: 2 },
  y: { label: '%', min: 0, max: 100 },
  series: [
    { label: 'one', style: 0, points: [0, 1, 2].map((x) => ({ x, y: 10 * x, low: 9 * x, high: 11 * x })) },
    { label: 'a < b', style: 1, dashed: true, points: [{ x: 1, y: 50 }] },
    { label: 'no points', style: 2, points: [] },
  ],
};
const BARS = {
  title: 'Queue time',
  subtitle: 'simulated',
  x: { label: '' },
  y: { label: 's', type: 'log' as const, min: 0.1, max: 100 },
  groups: [{ label: 'light', values: [{ value: 1 }, { value: 0 }] }],
  series: [
    { label: 'one', style: 0 },
    { label: 'two', style: 1 },
  ],
  target: { value: 5, label: 'target: 5 s' },
  show: (value: number) => `${value} s`,
};

it.each([
  ['lines', () => lineChart(LINES), ['Goodput &amp; more', 'a &lt; b', 'load', '>100<', 'no points']],
  ['bars', () => barChart(BARS), ['Queue time', 'light', '>1 s<', 'target: 5 s']],
])('a chart of %s is deterministic, names everything, and has no number that is none', (_, draw, words) => {
  const svg = draw();
  expect(draw()).toBe(svg);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  for (const word of words) expect(svg).toContain(word);
});

it('a chart of one point on axes of one value has no number that is none', () => {
  const one = { label: '', min: 4, max: 4 };
  const svg = lineChart({
    ...LINES,
    x: one,
    y: one,
    series: [{ label: 'a', style: 0, points: [{ x: 4, y: 4 }] }],
  });
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

it('a series without markers is a line alone', () => {
  const points = [0, 1, 2].map((x) => ({ x, y: x }));
  const draw = (markers: boolean) =>
    lineChart({ ...LINES, series: [{ label: 'a', style: 0, markers, points }] });
  expect(draw(true).match(/<circle/g)).toHaveLength(4);
  expect(draw(false)).not.toContain('<circle');
});

it.each([
  [{ min: 0, max: 100 }, [0, 20, 40, 60, 80, 100]],
  [{ min: 0, max: 1 }, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [{ type: 'log' as const, min: 0.03, max: 200 }, [0.1, 1, 10, 100]],
  [{ min: 4, max: 4 }, [4]],
])('the ticks of %o are round', (axis, ticks) => {
  expect(createScale(axis, { from: 0, to: 1 }).ticks).toEqual(ticks);
});

it.each([
  [[3, 97], 100],
  [[0.034], 0.04],
  [[], 1],
  [[100], 100],
])('an axis for %o ends at %d', (values, end) => {
  expect(roundMax(values)).toBe(end);
});

describe('themes', () => {
  it('the default is the light one, and AUTO has the same colours for viewers without variables', () => {
    expect(lineChart(LINES)).toBe(lineChart({ ...LINES, theme: LIGHT }));
    const auto = lineChart({ ...LINES, theme: AUTO });
    expect(auto.replace(/<style>.*<\/style>/, '').replace(/var\(--chart-[\w-]+,(#\w+)\)/g, '$1')).toBe(
      lineChart(LINES),
    );
    expect(auto).toContain(DARK.background);
  });

  it.each([
    ['light', LIGHT],
    ['dark', DARK],
  ])('every colour of data and text stands out from the background of the %s one', (_, theme: Theme) => {
    for (const colour of theme.series) expect(contrast(colour, theme.background), colour).toBeGreaterThan(2);
    for (const colour of [theme.text, theme.muted])
      expect(contrast(colour, theme.background), colour).toBeGreaterThan(4.5);
  });
});

/** As WCAG 2 defines it. */
function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
