/** Small charts of the last minutes. uPlot draws; the figures above each chart are those under the pointer, or the newest. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { theme } from '../state/theme.ts';
import { feed } from './feed.ts';
import { type Colours, coloursAt } from './palette.ts';
import type { Column } from './series.ts';
import { pause } from './view-state.ts';
import { duration, number } from './words.ts';

interface Line {
  readonly column: Column;
  readonly label: string;
  readonly colour: keyof Colours;
  readonly dashed?: boolean;
}

interface ChartOptions {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number | null | undefined) => string;
}

const CHARTS: readonly ChartOptions[] = [
  {
    title: 'Tokens of answers a second',
    lines: [{ column: 'tokens', label: '', colour: 'stream' }],
    format: number,
  },
  {
    title: 'Requests',
    lines: [
      { column: 'running', label: 'running', colour: 'stream' },
      { column: 'waiting', label: 'waiting', colour: 'wait', dashed: true },
    ],
    format: number,
  },
  {
    title: 'Finished a second',
    lines: [
      { column: 'finished', label: 'all', colour: 'stream' },
      { column: 'within', label: 'within the objectives', colour: 'done', dashed: true },
    ],
    format: number,
  },
  {
    title: 'First token',
    lines: [
      { column: 'ttftP50', label: 'median', colour: 'stream' },
      { column: 'ttftP90', label: 'p90', colour: 'wait', dashed: true },
    ],
    format: duration,
  },
];

const CHARTS_WITHOUT_OBJECTIVES = CHARTS.map((chart) => ({
  ...chart,
  lines: chart.lines.filter(({ column }) => column !== 'within'),
}));

const HEIGHT = 110;
const REDRAW_MS = 950;

export function Charts({ withObjectives }: { readonly withObjectives: boolean }) {
  const charts = withObjectives ? CHARTS : CHARTS_WITHOUT_OBJECTIVES;
  return (
    <section aria-labelledby="live-charts">
      <h2 id="live-charts">Last minutes</h2>
      <div class="live-charts">
        {charts.map((chart) => (
          <Chart key={chart.title} {...chart} />
        ))}
      </div>
    </section>
  );
}

function Chart({ title, lines, format }: ChartOptions) {
  const place = useRef<HTMLDivElement>(null);
  const figures = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let chart = draw(element, lines, format, show);
    let drawn = 0;
    function show(index: number | null | undefined): void {
      const at = index ?? feed.series.size - 1;
      const text = lines.map(({ column, label }) => `${format(feed.series.column(column)[at])} ${label}`);
      if (figures.current !== null) figures.current.textContent = text.join(' · ');
      element?.setAttribute('aria-label', `${title}: ${text.join(', ')}`);
    }
    const refresh = () => {
      if (pause.get() !== undefined || performance.now() - drawn < REDRAW_MS) return;
      drawn = performance.now();
      chart.setData(dataOf(lines));
      show(chart.cursor.idx);
    };
    const again = () => {
      chart.destroy();
      chart = draw(element, lines, format, show);
      show(undefined);
    };
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', again);
    const stops = [feed.snapshot.subscribe(refresh), theme.subscribe(again)];
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    show(undefined);
    return () => {
      for (const stop of stops) stop();
      dark.removeEventListener('change', again);
      resize.disconnect();
      chart.destroy();
    };
  }, [title, lines, format]);
  return (
    <figure class="live-chart">
      <figcaption>
        <b>{title}</b> <span ref={figures} class="figures" />
      </figcaption>
      <div ref={place} role="img" aria-label={title} />
    </figure>
  );
}

function dataOf(lines: readonly Line[]): uPlot.AlignedData {
  // uPlot's first column has no holes; those of an interruption have their time.
  return [feed.series.column('at') as number[], ...lines.map(({ column }) => feed.series.column(column))];
}

function draw(
  place: HTMLElement,
  lines: readonly Line[],
  format: ChartOptions['format'],
  onCursor: (index: number | null | undefined) => void,
): uPlot {
  const colours = coloursAt(place);
  const axis = {
    stroke: colours.quiet,
    font: '11px system-ui, sans-serif',
    grid: { stroke: colours.line, width: 1 },
    ticks: { show: false },
  };
  return new uPlot(
    {
      width: Math.max(100, place.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [
        { ...axis, size: 22, space: 70 },
        { ...axis, size: 52, space: 28, values: (_, values) => values.map((value) => format(value)) },
      ],
      series: [
        {},
        ...lines.map(({ label, colour, dashed = false }) => ({
          label,
          stroke: colours[colour],
          width: 1.75,
          ...(dashed && { dash: [5, 3] }),
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [({ cursor }) => onCursor(cursor.idx)] },
    },
    dataOf(lines),
    place,
  );
}
