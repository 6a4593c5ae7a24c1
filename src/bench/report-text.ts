/** A run as text for a terminal: one row a step, all percentiles where there is one step, notes, errors and the sentence at the end. */
import type { StepMeasures } from './measures.ts';
import { objectivesText } from './objectives.ts';
import { stepText } from './plan.ts';
import type { BenchRun } from './run.ts';
import type { Distribution } from './statistics.ts';
import { clientProblem, verdict } from './verdict.ts';

export function textReport(run: BenchRun): string {
  const steps = run.steps.map(({ measures }) => measures);
  const parts = [
    stepTable(steps),
    ...(steps.length === 1 ? steps.map(detailTable) : []),
    [...run.notes, ...steps.flatMap(stepNotes)].map((note) => `- ${note}`).join('\n'),
    `${run.wasInterrupted ? 'Interrupted; this is what was measured until then.\n' : ''}${verdict(steps, run.settings.objectives)}`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** What was sent and what the figures are compared with: printed before the run. */
export function headText({
  address,
  server,
  model,
  settings,
}: Omit<BenchRun, 'notes' | 'steps' | 'wasInterrupted'>): string {
  const found = settings.protocol === 'auto' ? ' (found out by asking)' : '';
  const defaults = settings.areObjectivesGiven ? '' : ' (the default; --slo sets others)';
  return [
    `${address}: ${server.name}, model ${model}, protocol ${server.protocol}${found}`,
    `Good: ${objectivesText(settings.objectives)}${defaults}. The first token may be one of the model's thoughts.`,
  ].join('\n');
}

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
  return `${table([COLUMNS.map(([name]) => name), ...rows])}\nTTFT, TPOT, ITL and E2E in milliseconds.`;
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
  return table([['MILLISECONDS', 'mean', 'p50', 'p90', 'p95', 'p99', 'max'], ...rows]);
}

/** What a reader must know of one step's figures. */
export function stepNotes(measures: StepMeasures): readonly string[] {
  const { step, promptTokens, outputTokens, shortAnswers, completed, errors, beganWithReasoning } = measures;
  const at = stepText(step);
  const notes: string[] = [];
  const problem = clientProblem(measures);
  if (problem !== undefined)
    notes.push(`${at}: the client was the bottleneck: ${problem}. Its figures say little of the server.`);
  const failed = Object.entries(errors).map(([code, count]) => `${count} × ${code}`);
  if (failed.length > 0) notes.push(`${at}: not completed: ${failed.join(', ')}.`);
  if (completed === 0) return notes;
  if (shortAnswers > 0)
    notes.push(
      `${at}: ${shortAnswers} of ${completed} answers were shorter than asked: ${figure(outputTokens.mean)} tokens on average instead of ${figure(outputTokens.askedMean)}.`,
    );
  const { mean, askedMean } = promptTokens;
  if (
    promptTokens.from !== 'planned' &&
    askedMean !== undefined &&
    Math.abs((mean ?? 0) - askedMean) > 0.05 * askedMean
  )
    notes.push(
      `${at}: the server counted ${figure(mean)} tokens a prompt, ${figure(askedMean)} were asked for.`,
    );
  if (promptTokens.from === 'planned')
    notes.push(`${at}: prompt tokens are as planned; the server does not count them.`);
  if (outputTokens.from !== 'usage')
    notes.push(
      `${at}: tokens of ${outputTokens.from === 'events' ? 'answers' : 'some answers'} are counted as arrivals of text; the server did not count them.`,
    );
  if (beganWithReasoning > 0)
    notes.push(
      `${at}: ${beganWithReasoning} of ${completed} answers began with thoughts, which count as tokens.`,
    );
  return notes;
}

/** Three digits that matter. */
export function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 100) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
