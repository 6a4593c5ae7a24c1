/** The table, the sentences and the chart of `llm-serve whatif`. */
import { barChart } from '../chart/bar-chart.ts';
import { durationText } from '../core/duration-text.ts';
import { figuresToTheRight, table } from '../core/text-columns.ts';
import type { Figures, Percentiles, ReplayError } from '../simulation/outcomes.ts';
import type { Changes } from '../simulation/replay.ts';
import type { ServiceModel } from '../simulation/service-model.ts';

/** With --json, as it is. */
export interface WhatIfResult {
  readonly record: {
    readonly started_at_ms: number;
    readonly version: string;
    readonly runs: number;
    readonly underOtherSettings: number;
    readonly unreadable: number;
  };
  readonly changes: Changes;
  readonly recorded: Figures;
  readonly replayed: Figures;
  /** Undefined: nothing was to be different. */
  readonly what_if: Figures | undefined;
  readonly error: ReplayError;
  /** More ran at one target than the record has seen. */
  readonly extrapolates: { readonly to: number; readonly seen: number } | undefined;
  /** By target. */
  readonly service: Readonly<Record<string, ServiceModel>>;
}

type Row = readonly [label: string, read: (figures: Figures) => string];

const RANKS = ['p50', 'p90', 'p99'] as const;

export function whatIfText(result: WhatIfResult): string {
  const { recorded, replayed, what_if: changed } = result;
  const columns = [recorded, replayed, ...(changed === undefined ? [] : [changed])];
  const heads = ['', 'recorded', 'replayed', ...(changed === undefined ? [] : ['what if'])];
  const rows = [heads, ...rowsOf(columns).map(([label, read]) => [label, ...columns.map(read)])];
  return `${[...table(rows, figuresToTheRight), '', ...sentencesOf(result)].join('\n')}\n`;
}

function rowsOf(columns: readonly Figures[]): readonly Row[] {
  const codes = [...new Set(columns.flatMap(({ rejected }) => Object.keys(rejected)))].sort();
  const times = (label: string, read: (figures: Figures) => Percentiles | undefined): Row[] =>
    RANKS.map((rank) => [`${label} ${rank}`, (figures) => duration(read(figures)?.[rank])] as const);
  return [
    ['requests', ({ requests }) => String(requests)],
    ['finished', ({ finished }) => String(finished)],
    ['within objectives', ({ withinObjectives }) => String(withinObjectives)],
    ...codes.map((code): Row => [`rejected: ${code}`, ({ rejected }) => String(rejected[code] ?? 0)]),
    ['failed', ({ failed }) => String(failed)],
    ['cancelled', ({ cancelled }) => String(cancelled)],
    ...times('in the queue', ({ queueMs }) => queueMs),
    ...times('first token', ({ ttftMs }) => ttftMs),
    ...times('whole time', ({ e2eMs }) => e2eMs),
    ['answers per second, in time', ({ goodputPerSecond }) => goodputPerSecond.toFixed(2)],
    ['tokens per second', ({ tokensPerSecond }) => tokensPerSecond.toFixed(1)],
    ['slots used', ({ slotsUsed, slots }) => `${slotsUsed.toFixed(1)} of ${slots}`],
  ];
}

function sentencesOf({ error, extrapolates, record, what_if: changed, service }: WhatIfResult): string[] {
  const percent = `${Math.round(error.part * 100)} %`;
  const trust =
    error.part <= 0.05
      ? `The replay with the recorded settings is within ${percent} of what was recorded.`
      : `The replay with the recorded settings is off by up to ${percent} (${error.figure}): trust differences that are clearly larger.`;
  const unknown = Object.entries(service).filter(([, { samples }]) => samples === 0);
  return [
    trust,
    ...(extrapolates === undefined
      ? []
      : [
          `Up to ${extrapolates.to} requests run at one target; the record has at most ${extrapolates.seen}. ${growthOf(service)}`,
        ]),
    ...(unknown.length === 0
      ? []
      : [
          `No streamed answer tells how long these targets take: ${unknown.map(([name]) => name).join(', ')}.`,
        ]),
    ...(record.runs > 1
      ? [`The file has ${record.runs} runs; the one with the most requests is replayed.`]
      : []),
    ...(record.underOtherSettings > 0
      ? [`${record.underOtherSettings} requests had other settings than those that are replayed.`]
      : []),
    ...(record.unreadable > 0 ? [`${record.unreadable} lines cannot be read and are left out.`] : []),
    ...(changed === undefined ? ['Say what would be different: --slots 8, --targets 3, --load 2 …'] : []),
  ];
}

function growthOf(service: WhatIfResult['service']): string {
  return Object.values(service).some(({ samples, knowsGrowth }) => samples > 0 && !knowsGrowth)
    ? 'It does not tell how much slower answers get with more of them; none is assumed, so the truth may be worse.'
    : 'What a target does beyond that is extrapolated.';
}

const SECOND = 1000;

function duration(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '–' : durationText(milliseconds);
}

export function whatIfChart({ recorded, replayed, what_if: changed }: WhatIfResult): string {
  const columns = [recorded, replayed, ...(changed === undefined ? [] : [changed])];
  const labels = ['recorded', 'replayed with the recorded settings', 'what if'];
  const groups = (
    [
      ['queue', ({ queueMs }: Figures) => queueMs],
      ['first token', ({ ttftMs }: Figures) => ttftMs],
      ['whole time', ({ e2eMs }: Figures) => e2eMs],
    ] as const
  ).flatMap(([name, read]) =>
    (['p50', 'p90'] as const).map((rank) => ({
      label: `${name}, ${rank}`,
      values: columns.map((figures) => ({ value: (read(figures)?.[rank] ?? 0) / SECOND })),
    })),
  );
  const most = Math.max(0.001, ...groups.flatMap(({ values }) => values.map(({ value }) => value)));
  return barChart({
    title: 'What would have changed',
    subtitle: `${recorded.requests} requests; ${columns.map(({ finished }, index) => `${labels[index]}: ${finished} finished`).join(', ')}`,
    x: { label: '' },
    y: { label: 'seconds', min: 0, max: most * 1.1 },
    groups,
    series: columns.map((_, style) => ({ label: labels[style] ?? '', style })),
    show: (seconds) => seconds.toFixed(seconds < 10 ? 2 : 0),
  });
}
