/** Usage over time as stacked columns. uPlot draws; the table beside it has the same figures. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { theme } from '../../state/theme.ts';
import type { Columns } from './usage-report.ts';

const HEIGHT = 220;
/** Also in admin.css, for the names beside the chart. */
const COLOURS = ['--blue', '--amber', '--green', '--violet', '--live-fail', '--live-cancel'] as const;
export const MAX_GROUPS = COLOURS.length;

interface UsageChartProps {
  readonly title: string;
  readonly columns: Columns;
  readonly format: (value: number) => string;
  readonly nameOf: (group: string) => string;
}

export function UsageChart({ title, columns, format, nameOf }: UsageChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const figures = useRef<HTMLSpanElement>(null);
  const whole = columns.groups.reduce((sum, { values }) => sum + totalOf(values), 0);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const show = (at: number | null | undefined) => {
      if (figures.current !== null)
        figures.current.textContent = at == null ? '' : figuresAt(columns, at, format, nameOf);
    };
    let chart = draw(element, columns, format, show);
    const again = () => {
      chart.destroy();
      chart = draw(element, columns, format, show);
    };
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', again);
    const stop = theme.subscribe(again);
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      stop();
      dark.removeEventListener('change', again);
      resize.disconnect();
      chart.destroy();
    };
  }, [columns, format, nameOf]);
  return (
    <figure class="live-chart">
      <figcaption>
        <b>{title}</b> <span ref={figures} class="figures" />
      </figcaption>
      <div
        ref={place}
        role="img"
        aria-label={`${title}: ${format(whole)} together. The table has the figures.`}
      />
      <ul class="admin-legend">
        {columns.groups.map(({ group, name }, at) => (
          <li key={group} class={`admin-series-${at}`}>
            {nameOf(name)}
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** Between two names of columns. */
const STEPS = [1, 2, 3, 6, 7, 12, 14, 28, 84, 365];

/** `11-27`, or `14:00` of an hour. */
function columnName(seconds: number, step: number): string {
  const time = new Date(seconds * 1_000).toISOString();
  return step < 86_400 ? `${time.slice(11, 13)}:00` : time.slice(5, 10);
}

function figuresAt(
  { at: times, groups }: Columns,
  at: number,
  format: (value: number) => string,
  nameOf: (group: string) => string,
): string {
  const time = new Date((times[at] ?? 0) * 1_000).toISOString();
  const isHours = (times[1] ?? 0) - (times[0] ?? 0) < 86_400;
  const used = groups.filter(({ values }) => (values[at] ?? 0) > 0);
  return [
    isHours ? `${time.slice(0, 13).replace('T', ' ')}:00` : time.slice(0, 10),
    ...(used.length === 0
      ? ['nothing']
      : used.map(({ name, values }) => `${format(values[at] ?? 0)} ${nameOf(name)}`)),
  ].join(' · ');
}

function draw(
  place: HTMLElement,
  { at, groups }: Columns,
  format: (value: number) => string,
  onCursor: (at: number | null | undefined) => void,
): uPlot {
  const style = getComputedStyle(place);
  // `light-dark()` is known where it is used: a property alone would be its text.
  const colour = (name: string) => {
    const probe = document.createElement('span');
    probe.style.color = `var(${name})`;
    place.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const axis = {
    stroke: colour('--quiet'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const stacked = stackedUp(groups.map(({ values }) => values));
  const bars = uPlot.paths.bars?.({ size: [0.7, 48] });
  const step = (at[1] ?? 0) - (at[0] ?? 0) || 3_600;
  return new uPlot(
    {
      width: Math.max(100, place.clientWidth),
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { range: (_, min, max) => [min - step / 2, max + step / 2] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          size: 24,
          space: 60,
          incrs: STEPS.map((steps) => steps * step),
          values: (_, times) => times.map((time) => columnName(time, step)),
        },
        { ...axis, size: 60, space: 34, values: (_, values) => values.map(format) },
      ],
      series: [
        {},
        // The whole column first: each is drawn over the one before.
        ...stacked.map((_, index) => ({
          fill: colour(COLOURS[index] ?? '--quiet'),
          stroke: colour('--surface'),
          width: 1,
          ...(bars && { paths: bars }),
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [({ cursor }) => onCursor(cursor.idx)] },
    },
    [[...at], ...stacked.map((values) => [...values])],
    place,
  );
}

/** Of each group its own value and those of all after it. */
function stackedUp(lists: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return lists.map((list, index) =>
    list.map((_, at) => lists.slice(index).reduce((sum, each) => sum + (each[at] ?? 0), 0)),
  );
}

function totalOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
