/** A run as one self-contained page: inline style sheet and charts, no script, dark and light, fit for print. */
import { lineChart } from '../chart/line-chart.ts';
import { roundMax } from '../chart/scale.ts';
import { escaped } from '../chart/svg.ts';
import { AUTO } from '../chart/theme.ts';
import { quantile } from '../core/quantile.ts';
import { lengthText } from './lengths.ts';
import type { StepMeasures } from './measures.ts';
import { objectivesText } from './objectives.ts';
import { stepText } from './plan.ts';
import { latencyOf, type RequestRecord, tpotOf, ttftOf } from './record.ts';
import type { Origin } from './report-json.ts';
import { addressText, allNotes, END_WORDS, figure, shareTable } from './report-text.ts';
import type { BenchRun, MeasuredStep } from './run.ts';
import type { Distribution } from './statistics.ts';
import { verdict } from './verdict.ts';

export function htmlReport(run: BenchRun, origin: Origin): string {
  const { server, model, settings, steps } = run;
  const address = addressText(run.addresses);
  const measures = steps.map((step) => step.measures);
  const title = `Benchmark of ${model} at ${address}`;
  const facts: readonly (readonly [string, string])[] = [
    ['Server', `${address} (${server.name})`],
    ['Model', model],
    ['Protocol', server.protocol],
    ['Prompts', promptsText(run)],
    [
      'Answers',
      settings.hasDatasetLengths ? 'as long as in the file' : `${lengthText(settings.outputTokens)} tokens`,
    ],
    ['Good', objectivesText(settings.objectives)],
    [
      'Measured',
      `${origin.startedAt}, llm-serve ${origin.version}, Node ${origin.node}, seed ${settings.seed}`,
    ],
  ];
  const charts = [...sweepCharts(measures, run), ...distributionCharts(steps, run)];
  const parts = [
    `<h1>${escaped(title)}</h1>`,
    `<p class="verdict">${escaped(verdict(measures, settings.objectives))}</p>`,
    run.end === 'complete' ? '' : `<p>${END_WORDS[run.end]}</p>`,
    `<dl>${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('')}</dl>`,
    `<h2>Loads</h2>${loadTable(measures)}`,
    serversTable(steps),
    // Before the charts: a load that says nothing of the server is drawn there too.
    noteList(run),
    ...charts.map((chart) => `<figure>${chart}</figure>`),
    '<h2>Latencies in milliseconds</h2>',
    ...measures.map(latencyTable),
    DEFINITIONS,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${parts.filter((part) => part !== '').join('\n')}
</main>
</body>
</html>
`;
}

function promptsText({ datasetName, settings }: BenchRun): string {
  if (datasetName !== undefined) return `from ${datasetName}`;
  const prefix =
    settings.prefixTokens === 0
      ? ''
      : `, ${Math.round(settings.prefixShare * 100)} % of them after a shared prefix of ${settings.prefixTokens}`;
  return `synthetic, ${lengthText(settings.promptTokens)} tokens${prefix}`;
}

const STYLE = `${AUTO.style}
:root{--page:#f6f7f8}
@media screen and (prefers-color-scheme:dark){:root{--page:#0e1012}}
body{margin:0;background:var(--page);color:var(--chart-text);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem}
.verdict{font-size:1.1rem;padding:.8rem 1rem;background:var(--chart-background);border-left:4px solid #0072b2}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}dt{color:var(--chart-muted)}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;background:var(--chart-background)}
caption{text-align:left;font-weight:600;padding:.6rem 0}th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid var(--chart-grid);white-space:nowrap}
th:first-child{text-align:left}tbody th{font-weight:400}thead th{color:var(--chart-muted);font-weight:500}
figure{margin:1rem 0;break-inside:avoid}figure svg{width:100%;height:auto}
.definitions{color:var(--chart-muted);font-size:.9rem}
@media print{body{background:#fff}main{max-width:none;padding:0}table{break-inside:avoid}}`;

const DEFINITIONS = `<p class="definitions">TTFT: from the send (at an open loop, from when the request was due) to the first token, which may be one of the model’s thoughts. TPOT: (end to end − TTFT) ÷ (tokens − 1). ITL: the time between two arrivals of text, of all requests together. Good: completed, and within all targets. Percentiles are exact: all values are kept, and lie between the two closest ranks. Latencies are those of completed requests.</p>`;

function loadTable(measures: readonly StepMeasures[]): string {
  const columns: readonly (readonly [string, (each: StepMeasures) => string])[] = [
    ['Load', ({ step }) => stepText(step)],
    ['Completed', ({ completed, requests }) => `${completed} of ${requests}`],
    ['Rejected', ({ rejected }) => String(rejected)],
    ['Failed', ({ failed }) => String(failed)],
    ['Good', ({ goodShare }) => `${Math.floor(goodShare * 100)} %`],
    ['Goodput / s', ({ goodputPerSecond }) => figure(goodputPerSecond)],
    ['Offered / s', ({ offeredPerSecond }) => figure(offeredPerSecond)],
    ['Tokens out / s', ({ outputTokensPerSecond }) => figure(outputTokensPerSecond)],
    ['Tokens in / s', ({ promptTokensPerSecond }) => figure(promptTokensPerSecond)],
    ['Client CPU', ({ client }) => (client === undefined ? '–' : `${Math.round(client.cpuShare * 100)} %`)],
  ];
  return htmlTable(
    'Loads',
    columns.map(([name]) => name),
    measures.map((each) => columns.map(([, show]) => show(each))),
  );
}

function serversTable(steps: readonly MeasuredStep[]): string {
  const [head, ...rows] = shareTable(steps) ?? [];
  return head === undefined ? '' : htmlTable('Servers', head, rows);
}

function latencyTable(measures: StepMeasures): string {
  const rows: readonly (readonly [string, Distribution | undefined])[] = [
    ['First token (TTFT)', measures.ttft],
    ['Per further token (TPOT)', measures.tpot],
    ['Between arrivals (ITL)', measures.itl],
    ['End to end', measures.e2e],
    ['Sent after it was due', measures.clientDelay],
    ['In the server’s queue', measures.serverQueue],
    ['Evaluating the prompt, by the server’s clock', measures.serverPrompt],
  ];
  const load = stepText(measures.step);
  return htmlTable(
    `Latencies of ${load}`,
    ['Latency', 'values', 'mean', 'p50', 'p90', 'p95', 'p99', 'max'],
    rows.flatMap(([name, each]) => {
      if (each === undefined) return [];
      const values = [each.mean, each.p50.value, each.p90.value, each.p95.value, each.p99.value, each.max];
      return [[name, String(each.count), ...values.map(figure)]];
    }),
    load,
  );
}

function htmlTable(
  name: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  caption?: string,
): string {
  const heading = (scope: string) => (cell: string) => `<th scope="${scope}">${escaped(cell)}</th>`;
  const figures = (cells: readonly string[]) => cells.map((cell) => `<td>${escaped(cell)}</td>`).join('');
  const above = caption === undefined ? '' : `<caption>${escaped(caption)}</caption>`;
  const body = rows
    .map(([first = '', ...others]) => `<tr>${heading('row')(first)}${figures(others)}</tr>`)
    .join('');
  // Where it is wider than the page, it is scrolled with the keyboard too.
  const frame = `class="wide" tabindex="0" role="region" aria-label="${escaped(name)}"`;
  return `<div ${frame}><table>${above}<thead><tr>${head.map(heading('col')).join('')}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function noteList(run: BenchRun): string {
  const notes = allNotes(run);
  if (notes.length === 0) return '';
  return `<h2>Notes</h2><ul>${notes.map((note) => `<li>${escaped(note)}</li>`).join('')}</ul>`;
}

const loadOf = ({ step }: StepMeasures) => (step.kind === 'open' ? step.rate : step.concurrency);

/** Latency and throughput over the load, where there are several. */
function sweepCharts(measures: readonly StepMeasures[], { settings }: BenchRun): readonly string[] {
  const steps = measures
    .filter(({ completed }) => completed > 0)
    .sort((one, other) => loadOf(one) - loadOf(other));
  if (steps.length < 2) return [];
  const x = {
    label: steps[0]?.step.kind === 'open' ? 'requests per second, offered' : 'users at once',
    min: Math.min(0, ...steps.map(loadOf)),
    max: Math.max(...steps.map(loadOf)),
    ticks: steps.map(loadOf),
  };
  const series = (label: string, style: number, value: (each: StepMeasures) => number | undefined) => ({
    ...{ label, style },
    points: steps.flatMap((each) => {
      const y = value(each);
      return y === undefined ? [] : [{ x: loadOf(each), y }];
    }),
  });
  const chart = (
    title: string,
    subtitle: string,
    yLabel: string,
    lines: readonly ReturnType<typeof series>[],
    limit?: number,
  ) =>
    lineChart({
      ...{ title, subtitle, x, theme: AUTO, series: lines },
      y: {
        label: yLabel,
        min: 0,
        max: roundMax([...lines.flatMap(({ points }) => points.map(({ y }) => y)), limit ?? 0]),
      },
      target: limit === undefined ? undefined : { value: limit, label: `target: ${limit} ms` },
    });
  return [
    chart(
      'Time to the first token',
      'p50 and p99 over the load',
      'milliseconds',
      [
        series('p50', 0, ({ ttft }) => ttft?.p50.value),
        series('p99', 1, ({ ttft }) => ttft?.p99.value),
        series('p50 in the server’s queue', 4, ({ serverQueue }) => serverQueue?.p50.value),
      ].filter(({ points }) => points.length > 0),
      settings.objectives.ttft,
    ),
    chart(
      'Time per further token',
      'p50 and p99 over the load',
      'milliseconds',
      [series('p50', 0, ({ tpot }) => tpot?.p50.value), series('p99', 1, ({ tpot }) => tpot?.p99.value)],
      settings.objectives.tpot,
    ),
    chart('Throughput', 'tokens of completed answers', 'tokens per second', [
      series('tokens per second', 2, ({ outputTokensPerSecond }) => outputTokensPerSecond),
    ]),
    chart('Goodput', 'completed requests, and those within all targets', 'requests per second', [
      series('offered', 4, ({ offeredPerSecond }) => offeredPerSecond),
      series('completed', 0, ({ completedPerSecond }) => completedPerSecond),
      series('good', 2, ({ goodputPerSecond }) => goodputPerSecond),
    ]),
  ];
}

/** Points of a curve; more would be drawn on top of each other. */
const CURVE_POINTS = 100;
/** Colours and markers. */
const MAX_CURVES = 6;

/** The part of the requests that took at most so long, a curve a load. */
function distributionCharts(steps: readonly MeasuredStep[], { settings }: BenchRun): readonly string[] {
  const chart = (
    title: string,
    of: (record: RequestRecord) => number | undefined,
    limit: number | undefined,
  ) => {
    const series = steps.slice(-MAX_CURVES).flatMap(({ measures, records }, style) => {
      const values = records
        .filter(({ outcome }) => outcome === 'completed')
        .flatMap((record) => of(record) ?? []);
      if (values.length < 2) return [];
      const sorted = Float64Array.from(values).sort();
      const points = Array.from({ length: CURVE_POINTS + 1 }, (_, index) => ({
        x: quantile(sorted, index / CURVE_POINTS),
        y: index * (100 / CURVE_POINTS),
      }));
      return [{ label: stepText(measures.step), style, markers: false, dashed: style % 2 === 1, points }];
    });
    if (series.length === 0) return [];
    const max = roundMax([...series.flatMap(({ points }) => points.map(({ x }) => x)), limit ?? 0]);
    const subtitle =
      limit === undefined
        ? 'part of the completed requests that took at most so long'
        : `part of the completed requests that took at most so long; target: ${limit} ms`;
    return [
      lineChart({
        ...{ title, subtitle, series, theme: AUTO },
        x: { label: 'milliseconds', min: 0, max },
        y: { label: '% of requests', min: 0, max: 100 },
      }),
    ];
  };
  return [
    ...chart('Distribution of the time to the first token', ttftOf, settings.objectives.ttft),
    ...chart('Distribution of the time per further token', tpotOf, settings.objectives.tpot),
    ...chart('Distribution of the time end to end', latencyOf, settings.objectives.e2e),
  ];
}
