// A chart of lines as SVG text: each series has its colour and its own marker, so that it needs no colour to be told.
import { createFrame, drawTarget } from './frame.mjs';
import { COLOURS, drawing, element, line } from './svg.mjs';

const MARKERS = [
  (x, y) => element('circle', { cx: x, cy: y, r: 4 }),
  (x, y) => element('rect', { x: x - 3.6, y: y - 3.6, width: 7.2, height: 7.2 }),
  (x, y) =>
    element('path', {
      d: path(
        [
          [x, y - 5],
          [x + 4.8, y + 3.8],
          [x - 4.8, y + 3.8],
        ],
        true,
      ),
    }),
  (x, y) =>
    element('path', {
      d: path(
        [
          [x, y - 5],
          [x + 5, y],
          [x, y + 5],
          [x - 5, y],
        ],
        true,
      ),
    }),
  (x, y) => element('circle', { cx: x, cy: y, r: 3.2, fill: COLOURS.background, 'stroke-width': 2 }),
  (x, y) =>
    element('path', {
      d: path(
        [
          [x, y + 5],
          [x + 4.8, y - 3.8],
          [x - 4.8, y - 3.8],
        ],
        true,
      ),
    }),
];

/**
 * `x` and `y`: `{ label, min, max, type?, ticks?, format? }`; `series`: `{ label, style, dashed?, points: { x, y, low?, high? }[] }`,
 * where low and high are the extremes of several rounds and style counts colours and markers; `target`: `{ value, label }` on the y axis.
 */
export function lineChart({ title, subtitle, x, y, series, target }) {
  const styles = series.map(({ style, dashed }) => styleOf(style, dashed));
  const legend = series.map(({ label }, index) => ({ label, key: (...at) => drawKey(styles[index], at) }));
  const frame = createFrame({ title, subtitle, legend, target, x, y });
  const content = [
    ...frame.content,
    ...(target ? [drawTarget(frame, target)] : []),
    ...series.map(({ points }, index) => drawSeries({ points, style: styles[index], frame })),
  ];
  return drawing({ ...frame, content });
}

function styleOf(index, dashed) {
  return {
    colour: COLOURS.series[index % COLOURS.series.length],
    marker: MARKERS[index % MARKERS.length],
    dashes: dashed ? '6 4' : undefined,
  };
}

function drawSeries({ points, style, frame: { xScale, yScale } }) {
  const at = points.map((point) => [xScale.place(point.x), yScale.place(point.y)]);
  const whiskers = points
    .filter(({ low, high }) => low !== undefined && high !== undefined)
    .map(({ x, low, high }) => {
      const place = xScale.place(x);
      return line({ x: place, y: yScale.place(low) }, { x: place, y: yScale.place(high) }, {});
    });
  return element(
    'g',
    { stroke: style.colour, fill: style.colour },
    element('path', { d: path(at), fill: 'none', 'stroke-width': 2, 'stroke-dasharray': style.dashes }),
    ...whiskers,
    ...at.map(([x, y]) => style.marker(x, y)),
  );
}

function drawKey(style, [x, y]) {
  return element(
    'g',
    { stroke: style.colour, fill: style.colour },
    line({ x: x - 13, y }, { x: x + 13, y }, { 'stroke-width': 2, 'stroke-dasharray': style.dashes }),
    style.marker(x, y),
  );
}

function path(points, isClosed = false) {
  const rounded = (value) => Math.round(value * 10) / 10;
  return `M${points.map(([x, y]) => `${rounded(x)} ${rounded(y)}`).join('L')}${isClosed ? 'Z' : ''}`;
}
