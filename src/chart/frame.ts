/** What every chart has around its data: title, legend, grid, axes and their names. */
import { type Axis, createScale, type Scale } from './scale.ts';
import { element, line, type Picture, text, textWidth } from './svg.ts';
import { LIGHT, type Theme } from './theme.ts';

const SIZE = { width: 760, height: 440 };
const MARGIN = { left: 68, right: 24, bottom: 56 };
const LEGEND_TOP = 62;
const LEGEND_ROW = 22;
const LEGEND_GAP = 14;
const KEY_WIDTH = 34;

/** A value on the y axis that is aimed at. */
export interface Target {
  readonly value: number;
  readonly label: string;
}

/** What all kinds of charts are made of. */
export interface ChartBase {
  readonly title: string;
  readonly subtitle: string;
  readonly y: Axis;
  readonly target?: Target | undefined;
  /** Default: LIGHT. */
  readonly theme?: Theme | undefined;
}

export interface LegendEntry {
  readonly label: string;
  /** Draws the sign of the series around that point. */
  key(x: number, y: number): string;
}

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Frame extends Picture {
  readonly area: Area;
  readonly yScale: Scale;
  readonly theme: Theme;
}

interface FrameParts extends ChartBase {
  readonly xLabel: string;
  readonly legend: readonly LegendEntry[];
}

/** The drawn frame and the place for data; the ticks of x are the chart's own business. As many entries of the legend to a row as fit. */
export function createFrame({
  title,
  subtitle,
  legend,
  target,
  xLabel,
  y,
  theme = LIGHT,
}: FrameParts): Frame {
  const targetKey = (x: number, height: number) =>
    line({ x: x - 13, y: height }, { x: x + 13, y: height }, dashes(theme));
  const rows = legendRows(target ? [...legend, { label: target.label, key: targetKey }] : legend);
  const area = {
    left: MARGIN.left,
    right: SIZE.width - MARGIN.right,
    top: LEGEND_TOP + rows.length * LEGEND_ROW + 8,
    bottom: SIZE.height - MARGIN.bottom,
  };
  const yScale = createScale(y, { from: area.bottom, to: area.top });
  const content = [
    text(title, { x: 20, y: 28, 'font-size': 16, 'font-weight': 600 }),
    text(subtitle, { x: 20, y: 48, fill: theme.muted }),
    ...rows.flatMap((row, index) => drawRow(row, LEGEND_TOP + 10 + index * LEGEND_ROW)),
    ...yTicks(y, yScale, area, theme),
  ];
  const names = [
    line({ x: area.left, y: area.bottom }, { x: area.right, y: area.bottom }, { stroke: theme.axis }),
    text(xLabel, {
      x: (area.left + area.right) / 2,
      y: SIZE.height - 14,
      'text-anchor': 'middle',
      fill: theme.muted,
    }),
    text(y.label, {
      x: 0,
      y: 0,
      transform: `translate(18 ${(area.top + area.bottom) / 2}) rotate(-90)`,
      'text-anchor': 'middle',
      fill: theme.muted,
    }),
  ];
  return { ...SIZE, title, area, yScale, theme, content: [...content, ...names] };
}

/** A line across at a value that is aimed at; the legend names it. */
export function drawTarget({ area, yScale, theme }: Frame, { value }: Target): string {
  const y = yScale.place(value);
  return line({ x: area.left, y }, { x: area.right, y }, dashes(theme));
}

export function formatTick({ format = String }: Axis, tick: number): string {
  return format(tick);
}

function dashes(theme: Theme) {
  return { stroke: theme.text, 'stroke-dasharray': '5 4' };
}

function yTicks(y: Axis, yScale: Scale, area: Area, theme: Theme): string[] {
  return yScale.ticks.flatMap((tick) => {
    const place = yScale.place(tick);
    return [
      line({ x: area.left, y: place }, { x: area.right, y: place }, { stroke: theme.grid }),
      text(formatTick(y, tick), { x: area.left - 8, y: place + 4, 'text-anchor': 'end', 'font-size': 12 }),
    ];
  });
}

interface PlacedEntry extends LegendEntry {
  readonly x: number;
}

function legendRows(legend: readonly LegendEntry[]): PlacedEntry[][] {
  let row: PlacedEntry[] = [];
  const rows = [row];
  let x = 20;
  for (const entry of legend) {
    const width = KEY_WIDTH + textWidth(entry.label);
    if (x > 20 && x + width > SIZE.width - MARGIN.right) {
      row = [];
      rows.push(row);
      x = 20;
    }
    row.push({ label: entry.label, key: entry.key, x });
    x += width + LEGEND_GAP;
  }
  return rows;
}

function drawRow(row: readonly PlacedEntry[], y: number): string[] {
  return row.map(({ label, key, x }) =>
    element('g', {}, key(x + 13, y), text(label, { x: x + KEY_WIDTH, y: y + 4 })),
  );
}
