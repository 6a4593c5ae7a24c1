/** A chart of lines as SVG text: each series has its colour and its own marker, so that it can be told without colours. */
import { type Area, type ChartBase, createFrame, drawTarget, type Frame, formatTick } from './frame.ts';
import { type Axis, createScale, type Scale } from './scale.ts';
import { drawing, element, line, type Point, pathThrough, text } from './svg.ts';
import { LIGHT, type Theme } from './theme.ts';

/** `low` and `high`: the extremes of several rounds. */
export interface ChartPoint extends Point {
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

export interface LineSeries {
  readonly label: string;
  /** Counts colours and markers. */
  readonly style: number;
  readonly dashed?: boolean | undefined;
  /** False: the line alone, for series of many points. */
  readonly markers?: boolean | undefined;
  readonly points: readonly ChartPoint[];
}

interface LineChart extends ChartBase {
  readonly x: Axis;
  readonly series: readonly LineSeries[];
}

interface LineStyle {
  readonly colour: string;
  readonly marker: (at: Point) => string;
  readonly dashes: string | undefined;
}

export function lineChart({ x, series, target, theme = LIGHT, ...base }: LineChart): string {
  const styles = series.map((each) => styleOf(each, theme));
  const legend = series.map(({ label }, index) => ({
    label,
    key: (...[atX, atY]: [number, number]) => drawKey(styles[index], { x: atX, y: atY }),
  }));
  const frame = createFrame({ ...base, target, theme, xLabel: x.label, legend });
  const xScale = createScale(x, { from: frame.area.left, to: frame.area.right });
  const content = [
    ...frame.content,
    ...xTicks(x, xScale, frame.area, theme),
    ...(target ? [drawTarget(frame, target)] : []),
    ...series.map((each, index) => drawSeries(each.points, styles[index], xScale, frame)),
  ];
  return drawing({ ...frame, content }, theme);
}

function xTicks(x: Axis, xScale: Scale, area: Area, theme: Theme): string[] {
  return xScale.ticks.flatMap((tick) => {
    const place = xScale.place(tick);
    return [
      line({ x: place, y: area.bottom }, { x: place, y: area.bottom + 5 }, { stroke: theme.axis }),
      text(formatTick(x, tick), { x: place, y: area.bottom + 20, 'text-anchor': 'middle', 'font-size': 12 }),
    ];
  });
}

const polygon = (...points: readonly Point[]) => element('path', { d: pathThrough(points, true) });

const MARKERS: readonly ((at: Point, theme: Theme) => string)[] = [
  ({ x, y }) => element('circle', { cx: x, cy: y, r: 4 }),
  ({ x, y }) => element('rect', { x: x - 3.6, y: y - 3.6, width: 7.2, height: 7.2 }),
  ({ x, y }) => polygon({ x, y: y - 5 }, { x: x + 4.8, y: y + 3.8 }, { x: x - 4.8, y: y + 3.8 }),
  ({ x, y }) => polygon({ x, y: y - 5 }, { x: x + 5, y }, { x, y: y + 5 }, { x: x - 5, y }),
  ({ x, y }, theme) => element('circle', { cx: x, cy: y, r: 3.2, fill: theme.background, 'stroke-width': 2 }),
  ({ x, y }) => polygon({ x, y: y + 5 }, { x: x + 4.8, y: y - 3.8 }, { x: x - 4.8, y: y - 3.8 }),
];

function styleOf({ style, dashed, markers = true }: LineSeries, theme: Theme): LineStyle {
  const marker = MARKERS[style % MARKERS.length];
  return {
    colour: theme.series[style % theme.series.length] ?? theme.text,
    marker: (at) => (markers && marker ? marker(at, theme) : ''),
    dashes: dashed ? '6 4' : undefined,
  };
}

function drawSeries(
  points: readonly ChartPoint[],
  style: LineStyle | undefined,
  xScale: Scale,
  { yScale }: Frame,
): string {
  if (style === undefined || points.length === 0) return '';
  const at = points.map((point) => ({ x: xScale.place(point.x), y: yScale.place(point.y) }));
  const whiskers = points.flatMap(({ x, low, high }) => {
    if (low === undefined || high === undefined) return [];
    const place = xScale.place(x);
    return line({ x: place, y: yScale.place(low) }, { x: place, y: yScale.place(high) }, {});
  });
  return element(
    'g',
    { stroke: style.colour, fill: style.colour },
    element('path', {
      d: pathThrough(at),
      fill: 'none',
      'stroke-width': 2,
      'stroke-dasharray': style.dashes,
    }),
    ...whiskers,
    ...at.map(style.marker),
  );
}

function drawKey(style: LineStyle | undefined, { x, y }: Point): string {
  if (style === undefined) return '';
  return element(
    'g',
    { stroke: style.colour, fill: style.colour },
    line({ x: x - 13, y }, { x: x + 13, y }, { 'stroke-width': 2, 'stroke-dasharray': style.dashes }),
    style.marker({ x, y }),
  );
}
