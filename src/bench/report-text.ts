/** A run as text for a terminal: one row a step, all percentiles where there is one step, notes, errors and the sentence at the end. */
import { figuresToTheRight, table } from '../core/text-columns.ts';
import type { StepMeasures } from './measures.ts';
import { objectivesText } from './objectives.ts';
import { type Step, stepText } from './plan.ts';
import type { BenchRun, MeasuredStep, RunEnd, ServerShare } from './run.ts';
import type { Distribution } from './statistics.ts';
import { clientProblem, verdict } from './verdict.ts';

export function textReport(run: BenchRun): string {
  const steps = run.steps.map(({ measures }) => measures);
  const parts = [
    stepTable(steps),
    ...(steps.length === 1 ? steps.map(detailTable) : []),
    textTable(shareTable(run.steps) ?? []),
    allNotes(run)
      .map((note) => `- ${note}`)
      .join('\n'),
    `${run.end === 'complete' ? '' : `${END_WORDS[run.end]}\n`}${verdict(steps, run.settings.objectives)}`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

export const END_WORDS = {
  interrupted: 'Interrupted; this is what was measured until then.',
  'server lost': 'The server went away; this is what was measured until then.',
} as const satisfies Record<Exclude<RunEnd, 'complete'>, string>;

/** What was sent and what the figures are compared with: printed before the run. */
export function headText({
  addresses,
  server,
  model,
  settings,
}: Pick<BenchRun, 'addresses' | 'server' | 'model' | 'settings'>): string {
  const found = settings.protocol === 'auto' ? ' (found out by asking)' : '';
  const defaults = settings.areObjectivesGiven ? '' : ' (the default; --slo sets others)';
  return [
    `${addressText(addresses)}: ${server.name}, model ${model}, protocol ${server.protocol}${found}`,
    `Good: ${objectivesText(settings.objectives)}${defaults}. The first token may be one of the model's thoughts.`,
  ].join('\n');
}

export const addressText = (addresses: readonly string[]) => addresses.join(', ');

const COLUMNS: readonly (readonly [string, (measures: StepMeasures) => string])[] = [
  ['LOAD', ({ step }) => stepText(step)],
  ['DONE', ({ completed, requests }) => `${completed}/${requests}`],
  ['GOOD', ({ goodShare }) => `${Math.floor(goodShare * 100)} %`],
  ['GOODPUT/s', ({ goodputPerSecond }) => figure(goodputPerSecond)],
  ['OFFERED/s', ({ offeredPerSecond }) => figure(offeredPerSecond)],
  ['TOKENS/s', ({ outputTokensPerSecond }) => figure(outputTokensPerSecond)],
  ['TTFT p50', ({ ttft }) => figure(ttft?.p50.value)],
  ['p99', ({ ttft }) => figure(ttft?.p99.value)],
  ['TPOT p50', ({ tpot }) => figure(tpot?.p50.value)],
  ['p99', ({ tpot }) => figure(tpot?.p99.value)],
  ['ITL p99', ({ itl }) => figure(itl?.p99.value)],
  ['E2E p50', ({ e2e }) => figure(e2e?.p50.value)],
  ['p99', ({ e2e }) => figure(e2e?.p99.value)],
];

export function stepTable(steps: readonly StepMeasures[]): string {
  const rows = steps.map((measures) => COLUMNS.map(([, show]) => show(measures)));
  return `${textTable([COLUMNS.map(([name]) => name), ...rows])}\nTTFT, TPOT, ITL and E2E in milliseconds.`;
}

type ShareRow = { readonly load: Step } & ServerShare;

const SHARE_COLUMNS: readonly (readonly [string, (row: ShareRow) => string])[] = [
  ['SERVER', ({ address }) => address],
  ['LOAD', ({ load }) => stepText(load)],
  ['DONE', ({ measures }) => `${measures.completed}/${measures.requests}`],
  ['ANSWERS/s', ({ measures }) => figure(measures.completedPerSecond)],
  ['TOKENS/s', ({ measures }) => figure(measures.outputTokensPerSecond)],
  ['TTFT p50', ({ measures }) => figure(measures.ttft?.p50.value)],
  ['p99', ({ measures }) => figure(measures.ttft?.p99.value)],
  ['E2E p50', ({ measures }) => figure(measures.e2e?.p50.value)],
  ['p99', ({ measures }) => figure(measures.e2e?.p99.value)],
];

/** What each server did of each load, under the names of the columns; undefined where there is one server. */
export function shareTable(steps: readonly MeasuredStep[]): readonly (readonly string[])[] | undefined {
  const rows = steps.flatMap(({ measures, servers }) =>
    servers.map((share) => ({ load: measures.step, ...share })),
  );
  if (rows.length === 0) return undefined;
  return [
    SHARE_COLUMNS.map(([name]) => name),
    ...rows.map((row) => SHARE_COLUMNS.map(([, show]) => show(row))),
  ];
}

const METRICS: readonly (readonly [string, (measures: StepMeasures) => Distribution | undefined])[] = [
  ['first token (TTFT)', ({ ttft }) => ttft],
  ['per further token (TPOT)', ({ tpot }) => tpot],
  ['between arrivals (ITL)', ({ itl }) => itl],
  ['end to end (E2E)', ({ e2e }) => e2e],
  ['sent after it was due', ({ clientDelay }) => clientDelay],
  ['server: queue', ({ serverQueue }) => serverQueue],
  ['server: prompt', ({ serverPrompt }) => serverPrompt],
];

function detailTable(measures: StepMeasures): string {
  const rows = METRICS.flatMap(([name, of]) => {
    const each = of(measures);
    if (each === undefined) return [];
    const values = [each.mean, each.p50.value, each.p90.value, each.p95.value, each.p99.value, each.max];
    return [[name, ...values.map(figure)]];
  });
  return textTable([['MILLISECONDS', 'mean', 'p50', 'p90', 'p95', 'p99', 'max'], ...rows]);
}

/** What a reader must know, of the run and of its loads; what is true of all loads alike is said once. */
export function allNotes(run: Pick<BenchRun, 'notes' | 'steps'>): readonly string[] {
  const loads = new Map<string, string[]>();
  for (const { measures } of run.steps) {
    for (const note of stepNotes(measures)) {
      const where = loads.get(note) ?? [];
      where.push(stepText(measures.step));
      loads.set(note, where);
    }
  }
  const stepTexts = [...loads].map(([note, where]) =>
    where.length === run.steps.length && where.length > 1
      ? `All loads: ${note}`
      : `${where.join(', ')}: ${note}`,
  );
  return [...run.notes, ...stepTexts];
}

function stepNotes(measures: StepMeasures): readonly string[] {
  const { promptTokens, outputTokens, shortAnswers, completed, errors, beganWithReasoning } = measures;
  const notes: string[] = [];
  const problem = clientProblem(measures);
  if (problem !== undefined)
    notes.push(`the client was the bottleneck: ${problem}. These figures are no measure of the server.`);
  const failed = Object.entries(errors).map(([code, count]) => `${count} × ${code}`);
  if (failed.length > 0) notes.push(`not completed: ${failed.join(', ')}.`);
  if (completed === 0) return notes;
  if (shortAnswers > 0)
    notes.push(
      `${shareText(shortAnswers, completed)} answers were shorter than asked: ${figure(outputTokens.mean)} tokens on average instead of ${figure(outputTokens.askedMean)}.`,
    );
  const { mean = 0, askedMean } = promptTokens;
  if (
    promptTokens.from !== 'planned' &&
    askedMean !== undefined &&
    Math.abs(mean - askedMean) > 0.05 * askedMean
  )
    notes.push(`the server counted ${figure(mean)} tokens a prompt; ${figure(askedMean)} were asked for.`);
  if (promptTokens.from === 'planned')
    notes.push('the server does not count the tokens of prompts: they are those that were planned.');
  if (outputTokens.from !== 'usage')
    notes.push(
      `the server did not count the tokens of ${outputTokens.from === 'events' ? 'its' : 'some'} answers: arrivals of text are counted.`,
    );
  if (beganWithReasoning > 0)
    notes.push(
      `${shareText(beganWithReasoning, completed)} answers began with thoughts, which count as tokens.`,
    );
  return notes;
}

const shareText = (count: number, of: number) => (count === of ? 'all' : `${count} of ${of}`);

/** Three digits that matter. */
export function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 100) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The first column to the left, the others to the right. */
export function textTable(rows: readonly (readonly string[])[]): string {
  return table(rows, figuresToTheRight).join('\n');
}
