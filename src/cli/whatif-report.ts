/** The table, the sentences and the chart of `llm-serve whatif`. */
import { barChart } from '../chart/bar-chart.ts';
import { durationText } from '../core/duration-text.ts';
import type { RecordedSettings } from '../core/record-file.ts';
import { figuresToTheRight, table } from '../core/text-columns.ts';
import { type Figures, LEAST_MS, type Percentiles, type ReplayError } from '../simulation/outcomes.ts';
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
  readonly objectives: RecordedSettings['objectives'];
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

interface Row {
  readonly label: string;
  readonly read: (figures: Figures) => number | undefined;
  readonly show: (value: number, figures: Figures) => string;
  /** The last column says by how much it changes. Not for counts, where that is seen. */
  readonly isCompared: boolean;
}

const RANKS = ['p50', 'p90', 'p99'] as const;
const NOTHING = '–';

export function whatIfText(result: WhatIfResult): string {
  const { replayed, what_if: changed } = result;
  const columns = columnsOf(result);
  const heads = ['', 'recorded', 'replayed', ...(changed === undefined ? [] : ['what if', 'change'])];
  const rows = rowsOf(result).map(({ label, read, show, isCompared }) => [
    label,
    ...columns.map((figures) => shown(read(figures), (value) => show(value, figures))),
    ...(changed === undefined || !isCompared ? [] : [changeText(read(replayed), read(changed))]),
  ]);
  return `${[...table([heads, ...rows], figuresToTheRight), '', ...sentencesOf(result)].join('\n')}\n`;
}

function columnsOf({ recorded, replayed, what_if: changed }: WhatIfResult): readonly Figures[] {
  return [recorded, replayed, ...(changed === undefined ? [] : [changed])];
}

function shown(value: number | undefined, show: (value: number) => string): string {
  return value === undefined ? NOTHING : show(value);
}

/** `−28 %` */
function changeText(before: number | undefined, after: number | undefined): string {
  if (before === undefined || after === undefined || before === 0) return NOTHING;
  const percent = Math.round((after / before - 1) * 100);
  return `${percent > 0 ? '+' : percent < 0 ? '−' : ''}${Math.abs(percent)} %`;
}

function rowsOf(result: WhatIfResult): readonly Row[] {
  const columns = columnsOf(result);
  const hasObjectives = Object.values(result.objectives).some((each) => each !== null);
  const codes = [...new Set(columns.flatMap(({ rejected }) => Object.keys(rejected)))].sort();
  const count = (label: string, read: (figures: Figures) => number): Row[] => [
    { label, read, show: String, isCompared: false },
  ];
  const rare = (label: string, read: (figures: Figures) => number): Row[] =>
    columns.some((figures) => read(figures) > 0) ? count(label, read) : [];
  const times = (label: string, read: (figures: Figures) => Percentiles | undefined): Row[] =>
    RANKS.map((rank) => ({
      ...{ label: `${label} ${rank}`, read: (figures: Figures) => read(figures)?.[rank] },
      ...{ show: durationText, isCompared: true },
    }));
  const rate = (label: string, read: (figures: Figures) => number, digits: number): Row[] => [
    { label, read, show: (value) => value.toFixed(digits), isCompared: true },
  ];
  return [
    ...count('requests', ({ requests }) => requests),
    ...count('finished', ({ finished }) => finished),
    ...(hasObjectives ? count('within objectives', ({ withinObjectives }) => withinObjectives) : []),
    ...codes.flatMap((code) => count(`rejected: ${code}`, ({ rejected }) => rejected[code] ?? 0)),
    ...rare('failed', ({ failed }) => failed),
    ...rare('cancelled', ({ cancelled }) => cancelled),
    ...times('in the queue', ({ queueMs }) => queueMs),
    ...times('first token', ({ ttftMs }) => ttftMs),
    ...times('whole answer', ({ e2eMs }) => e2eMs),
    ...rate(`${answersText(hasObjectives)} per second`, ({ goodputPerSecond }) => goodputPerSecond, 2),
    ...rate('tokens per second', ({ tokensPerSecond }) => tokensPerSecond, 1),
    {
      ...{ label: 'slots used on average', read: ({ slotsUsed }) => slotsUsed, isCompared: false },
      show: (used, { slots }) => `${used.toFixed(1)} of ${slots}`,
    },
  ];
}

const answersText = (hasObjectives: boolean) => (hasObjectives ? 'answers within objectives' : 'answers');

function sentencesOf(result: WhatIfResult): string[] {
  const { extrapolates, record, service } = result;
  const unknown = Object.entries(service).filter(([, { samples }]) => samples === 0);
  return [
    trustText(result.error),
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
    ...(record.unreadable > 0
      ? [`${record.unreadable} ${record.unreadable === 1 ? 'line' : 'lines'} of it could not be read.`]
      : []),
    conclusionOf(result),
  ];
}

/** Nobody acts on less. */
const SMALL_PART = 0.01;

function trustText({ part, figure }: ReplayError): string {
  const percent = `${Math.ceil(Math.max(part, SMALL_PART) * 100)} %`;
  return part <= 0.05
    ? `The replay with the recorded settings is within ${percent} of what was recorded.`
    : `The replay with the recorded settings is off by up to ${percent} (${figure}; a time below ${LEAST_MS} ms counts as ${LEAST_MS} ms): trust differences that are clearly larger.`;
}

/** The answer to the question, in a sentence. */
function conclusionOf({ changes, replayed, what_if: changed, error }: WhatIfResult): string {
  if (changed === undefined) return 'Name what would be different: --slots 8, --targets 3, --load 2 …';
  const knowsFirst = replayed.ttftMs !== undefined && changed.ttftMs !== undefined;
  const read = ({ ttftMs, e2eMs }: Figures) => (knowsFirst ? ttftMs : e2eMs)?.p90;
  const [before, after] = [read(replayed), read(changed)];
  const finishes =
    changed.finished === replayed.finished
      ? []
      : [`${changed.finished} of ${changed.requests} requests finish instead of ${replayed.finished}`];
  const isMoved = (one: number, other: number) =>
    Math.abs(other - one) > Math.max(error.part, SMALL_PART) * Math.max(one, Number.EPSILON);
  const waits =
    before !== undefined && after !== undefined && isMoved(before, after)
      ? [
          `nine of ten ${knowsFirst ? 'first tokens' : 'answers'} come within ${durationText(after)} instead of ${durationText(before)}`,
        ]
      : [];
  const [one, other] = [replayed.tokensPerSecond, changed.tokensPerSecond];
  const rates = isMoved(one, other)
    ? [`${other.toFixed(1)} tokens per second are served instead of ${one.toFixed(1)}`]
    : [];
  const parts = [...finishes, ...waits, ...rates];
  const last = parts.pop();
  if (last === undefined) return `With ${flagsText(changes)} nothing changes by more than the replay is off.`;
  return `With ${flagsText(changes)}, ${parts.length === 0 ? last : `${parts.join(', ')}, and ${last}`}.`;
}

/** As they are written: `--max-queue 8 --load 2`. */
function flagsText(changes: Changes): string {
  return Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} ${value}`)
    .join(' ');
}

function growthOf(service: WhatIfResult['service']): string {
  return Object.values(service).some(({ samples, knowsGrowth }) => samples > 0 && !knowsGrowth)
    ? 'It does not tell how much slower answers get with more of them; none is assumed, so the truth may be worse.'
    : 'What a target does beyond that is extrapolated.';
}

const SECOND = 1000;

export function whatIfChart(result: WhatIfResult): string {
  const { recorded, changes } = result;
  const columns = columnsOf(result);
  const labels = ['recorded', 'replayed as recorded', `with ${flagsText(changes)}`];
  const groups = (
    [
      ['queue', ({ queueMs }: Figures) => queueMs],
      ['first token', ({ ttftMs }: Figures) => ttftMs],
      ['whole', ({ e2eMs }: Figures) => e2eMs],
    ] as const
  ).flatMap(([name, read]) =>
    (['p50', 'p90'] as const).map((rank) => ({
      label: `${name} ${rank}`,
      values: columns.map((figures) => ({ value: (read(figures)?.[rank] ?? 0) / SECOND })),
    })),
  );
  const most = Math.max(0.001, ...groups.flatMap(({ values }) => values.map(({ value }) => value)));
  return barChart({
    title: 'What would have changed',
    subtitle: `${recorded.requests} requests; finished: ${columns.map(({ finished }, index) => `${finished} ${labels[index]}`).join(', ')}`,
    x: { label: '' },
    y: { label: 'seconds', min: 0, max: most * 1.1 },
    groups,
    series: columns.map((_, style) => ({ label: labels[style] ?? '', style })),
    show: (seconds) => seconds.toFixed(seconds < 10 ? 2 : 0),
  });
}
