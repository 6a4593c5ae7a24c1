/** A chart of bars in groups as SVG text, each bar with its value above it. */
import { type ChartBase, createFrame, drawTarget, type Frame } from './frame.ts';
import { drawing, element, line, text } from './svg.ts';
import { LIGHT } from './theme.ts';

const GROUP_PART = 0.78;
const WIDEST_BAR = 62;

/** `low` and `high`: the extremes of several rounds. */
export interface BarValue {
  readonly value: number;
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

interface BarChart extends ChartBase {
  readonly x: { readonly label: string };
  /** Each with a value for each of `series`. */
  readonly groups: readonly { readonly label: string; readonly values: readonly BarValue[] }[];
  /** `style` counts colours. */
  readonly series: readonly { readonly label: string; readonly style: number }[];
  /** Words a bar's value. */
  show(value: number): string;
}

export function barChart({ x, groups, series, target, theme = LIGHT, show, ...base }: BarChart): string {
  const colourOf = (style = 0) => theme.series[style % theme.series.length] ?? theme.text;
  const legend = series.map(({ label, style }) => ({
    label,
    key: (at: number, height: number) =>
      element('rect', { x: at - 8, y: height - 8, width: 16, height: 16, fill: colourOf(style) }),
  }));
  const frame = createFrame({ ...base, target, theme, xLabel: x.label, legend });
  const { area } = frame;
  const groupWidth = (area.right - area.left) / groups.length;
  const width = Math.min(WIDEST_BAR, (groupWidth * GROUP_PART) / series.length);
  const content = [
    ...frame.content,
    ...groups.flatMap(({ label, values }, groupIndex) => {
      const middle = area.left + (groupIndex + 0.5) * groupWidth;
      const first = middle - (width * series.length) / 2;
      return [
        ...values.map((value, index) =>
          drawBar(value, {
            left: first + index * width,
            width,
            colour: colourOf(series[index]?.style),
            label: show(value.value),
            frame,
          }),
        ),
        text(label, { x: middle, y: area.bottom + 20, 'text-anchor': 'middle' }),
      ];
    }),
    ...(target ? [drawTarget(frame, target)] : []),
  ];
  return drawing({ ...frame, content }, theme);
}

interface BarPlace {
  readonly left: number;
  readonly width: number;
  readonly colour: string;
  readonly label: string;
  readonly frame: Frame;
}

function drawBar({ value, low, high }: BarValue, { left, width, colour, label, frame }: BarPlace): string {
  const { area, yScale, theme } = frame;
  const top = yScale.place(value);
  const middle = left + width / 2;
  const hasExtremes = low !== undefined && high !== undefined;
  const highest = hasExtremes ? yScale.place(high) : top;
  return element(
    'g',
    {},
    element('rect', { x: left + 1, y: top, width: width - 2, height: area.bottom - top, fill: colour }),
    ...(hasExtremes
      ? [line({ x: middle, y: yScale.place(low) }, { x: middle, y: highest }, { stroke: theme.text })]
      : []),
    text(label, { x: middle, y: highest - 5, 'text-anchor': 'middle', 'font-size': 12 }),
  );
}
