// A chart of bars in groups as SVG text, each bar with its value above it.
import { createFrame, drawTarget } from './frame.mjs';
import { COLOURS, drawing, element, line, text } from './svg.mjs';

const GROUP_PART = 0.78;
const WIDEST_BAR = 62;

/**
 * `groups`: `{ label, values }` with a value `{ value, low?, high? }` for each of `series` (`{ label, style }`), where low and
 * high are the extremes of several rounds; `y`: `{ label, min, max, type?, ticks?, format? }`; `show` words a bar's value.
 */
export function barChart({ title, subtitle, x, y, groups, series, target, show }) {
  const legend = series.map(({ label, style }) => ({
    label,
    key: (at, height) =>
      element('rect', { x: at - 8, y: height - 8, width: 16, height: 16, fill: COLOURS.series[style] }),
  }));
  const frame = createFrame({ title, subtitle, legend, target, x, y });
  const { area } = frame;
  const groupWidth = (area.right - area.left) / groups.length;
  const barWidth = Math.min(WIDEST_BAR, (groupWidth * GROUP_PART) / series.length);
  const drawGroup = ({ label, values }, groupIndex) => {
    const middle = area.left + (groupIndex + 0.5) * groupWidth;
    const first = middle - (barWidth * series.length) / 2;
    return [
      ...values.map((value, index) =>
        drawBar({
          value,
          left: first + index * barWidth,
          width: barWidth,
          colour: COLOURS.series[series[index].style],
          frame,
          show,
        }),
      ),
      text(label, { x: middle, y: area.bottom + 20, 'text-anchor': 'middle' }),
    ];
  };
  const content = [
    ...frame.content,
    ...groups.flatMap(drawGroup),
    ...(target ? [drawTarget(frame, target)] : []),
  ];
  return drawing({ ...frame, content });
}

function drawBar({ value: { value, low, high }, left, width, colour, frame: { area, yScale }, show }) {
  const top = yScale.place(value);
  const middle = left + width / 2;
  const hasExtremes = low !== undefined && high !== undefined;
  const highest = hasExtremes ? yScale.place(high) : top;
  return element(
    'g',
    {},
    element('rect', { x: left + 1, y: top, width: width - 2, height: area.bottom - top, fill: colour }),
    ...(hasExtremes
      ? [line({ x: middle, y: yScale.place(low) }, { x: middle, y: highest }, { stroke: COLOURS.text })]
      : []),
    text(show(value), { x: middle, y: highest - 5, 'text-anchor': 'middle', 'font-size': 12 }),
  );
}
