// What every chart has around its data: title, legend, grid, axes and their names.
import { createScale } from './scale.mjs';
import { COLOURS, element, line, text, textWidth } from './svg.mjs';

const SIZE = { width: 760, height: 440 };
const MARGIN = { left: 68, right: 24, bottom: 56 };
const LEGEND_TOP = 62;
const LEGEND_ROW = 22;
const LEGEND_GAP = 14;
const KEY_WIDTH = 34;
const DASHES = { stroke: COLOURS.text, 'stroke-dasharray': '5 4' };

/**
 * `legend`: `{ label, key }`, where `key(x, y)` draws the sign of the series around that point; as many to a row as
 * fit. Without a scale for x its ticks are the chart's own business. Returns the drawn frame and the place for data.
 */
export function createFrame({ title, subtitle, legend, target, x, y }) {
  const targetKey = (at, height) => line({ x: at - 13, y: height }, { x: at + 13, y: height }, DASHES);
  const rows = legendRows(target ? [...legend, { label: target.label, key: targetKey }] : legend);
  const area = {
    left: MARGIN.left,
    right: SIZE.width - MARGIN.right,
    top: LEGEND_TOP + rows.length * LEGEND_ROW + 8,
    bottom: SIZE.height - MARGIN.bottom,
  };
  const yScale = createScale(y, { from: area.bottom, to: area.top });
  const xScale = x.max === undefined ? undefined : createScale(x, { from: area.left, to: area.right });
  const content = [
    text(title, { x: 20, y: 28, 'font-size': 16, 'font-weight': 600 }),
    text(subtitle, { x: 20, y: 48, fill: COLOURS.muted }),
    ...rows.flatMap((row, index) => drawRow(row, LEGEND_TOP + 10 + index * LEGEND_ROW)),
    ...yTicks({ y, yScale, area }),
    ...(xScale ? xTicks({ x, xScale, area }) : []),
    line({ x: area.left, y: area.bottom }, { x: area.right, y: area.bottom }, { stroke: COLOURS.axis }),
    text(x.label, {
      x: (area.left + area.right) / 2,
      y: SIZE.height - 14,
      'text-anchor': 'middle',
      fill: COLOURS.muted,
    }),
    text(y.label, {
      x: 0,
      y: 0,
      transform: `translate(18 ${(area.top + area.bottom) / 2}) rotate(-90)`,
      'text-anchor': 'middle',
      fill: COLOURS.muted,
    }),
  ];
  return { ...SIZE, title, area, xScale, yScale, content };
}

/** A line across at a value that is aimed at; the legend names it. */
export function drawTarget({ area, yScale }, { value }) {
  const y = yScale.place(value);
  return line({ x: area.left, y }, { x: area.right, y }, DASHES);
}

function yTicks({ y, yScale, area }) {
  return yScale.ticks.flatMap((tick) => {
    const place = yScale.place(tick);
    return [
      line({ x: area.left, y: place }, { x: area.right, y: place }, { stroke: COLOURS.grid }),
      text(formatTick(y, tick), { x: area.left - 8, y: place + 4, 'text-anchor': 'end', 'font-size': 12 }),
    ];
  });
}

function xTicks({ x, xScale, area }) {
  return xScale.ticks.flatMap((tick) => {
    const place = xScale.place(tick);
    return [
      line({ x: place, y: area.bottom }, { x: place, y: area.bottom + 5 }, { stroke: COLOURS.axis }),
      text(formatTick(x, tick), { x: place, y: area.bottom + 20, 'text-anchor': 'middle', 'font-size': 12 }),
    ];
  });
}

function formatTick({ format = String }, tick) {
  return format(tick);
}

function legendRows(legend) {
  const rows = [[]];
  let x = 20;
  for (const entry of legend) {
    const width = KEY_WIDTH + textWidth(entry.label);
    if (x > 20 && x + width > SIZE.width - MARGIN.right) {
      rows.push([]);
      x = 20;
    }
    rows.at(-1).push({ ...entry, x });
    x += width + LEGEND_GAP;
  }
  return rows;
}

function drawRow(row, y) {
  return row.map(({ label, key, x }) =>
    element('g', {}, key(x + 13, y), text(label, { x: x + KEY_WIDTH, y: y + 4 })),
  );
}
