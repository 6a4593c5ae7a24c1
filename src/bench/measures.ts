/** From the records of one step to its figures. Definitions: docs/how-to/bench-a-server.md. */
import { missesOf, OBJECTIVE_NAMES, type ObjectiveName, type Objectives } from './objectives.ts';
import type { Step } from './plan.ts';
import { latencyOf, type RequestRecord, type ServerTimings, tpotOf, ttftOf } from './record.ts';
import { type Distribution, distributionOf } from './statistics.ts';

/** What the client itself cost while the step ran. */
export interface ClientLoad {
  /** Of one core. */
  readonly cpuShare: number;
  /** Milliseconds by which the event loop was late. */
  readonly loopLagP99Ms: number;
}

export interface TokenCounts {
  /** Of the requests that completed: what was asked for on average; undefined where it was not planned. */
  readonly askedMean: number | undefined;
  readonly mean: number | undefined;
  readonly total: number;
  /** The server's own counts, or the arrivals of text; mixed where some answers lacked counts. */
  readonly from: 'usage' | 'events' | 'planned' | 'mixed';
}

export interface StepMeasures {
  readonly step: Step;
  /** From the first send to the last end. */
  readonly durationS: number;
  /** Those that the user did not break off. */
  readonly requests: number;
  readonly completed: number;
  readonly rejected: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Completed, and met all targets. */
  readonly good: number;
  /** Completed requests that missed a target; one may miss several. */
  readonly misses: Readonly<Partial<Record<ObjectiveName, number>>>;
  /** Code of the error → requests. */
  readonly errors: Readonly<Record<string, number>>;
  readonly offeredPerSecond: number;
  readonly completedPerSecond: number;
  readonly goodputPerSecond: number;
  /** Good ÷ requests. */
  readonly goodShare: number;
  readonly promptTokensPerSecond: number;
  readonly outputTokensPerSecond: number;
  readonly promptTokens: TokenCounts;
  readonly outputTokens: TokenCounts;
  /** Answers that ended before the length that was asked for. */
  readonly shortAnswers: number;
  readonly beganWithReasoning: number;
  readonly ttft: Distribution | undefined;
  readonly tpot: Distribution | undefined;
  readonly itl: Distribution | undefined;
  readonly e2e: Distribution | undefined;
  /** Open loop: from when a request was due until it was sent. */
  readonly clientDelay: Distribution | undefined;
  /** What the server reports, where it does. */
  readonly serverQueue: Distribution | undefined;
  readonly serverPrompt: Distribution | undefined;
  readonly client: ClientLoad | undefined;
}

export function measureStep(
  step: Step,
  records: readonly RequestRecord[],
  { objectives, client }: { readonly objectives: Objectives; readonly client?: ClientLoad | undefined },
): StepMeasures {
  const counted = records.filter(({ outcome }) => outcome !== 'cancelled');
  const completed = counted.filter(({ outcome }) => outcome === 'completed');
  const missed = completed.map((record) => missesOf(record, objectives));
  const good = missed.filter(({ length }) => length === 0).length;
  const beganAt = minimum(counted.map(({ startedAt }) => startedAt));
  const durationS =
    counted.length === 0 ? 0 : (maximum(counted.map(({ endedAt }) => endedAt)) - beganAt) / 1000;
  const perSecond = (amount: number) => (durationS === 0 ? 0 : amount / durationS);
  const promptTokens = promptCounts(completed);
  const outputTokens = outputCounts(completed);
  return {
    step,
    durationS,
    requests: counted.length,
    completed: completed.length,
    rejected: counted.filter(({ outcome }) => outcome === 'rejected').length,
    failed: counted.filter(({ outcome }) => outcome === 'failed').length,
    cancelled: records.length - counted.length,
    good,
    misses: Object.fromEntries(
      OBJECTIVE_NAMES.filter((name) => objectives[name] !== undefined).map((name) => [
        name,
        missed.filter((names) => names.includes(name)).length,
      ]),
    ),
    errors: countBy(counted.flatMap(({ error }) => error ?? [])),
    offeredPerSecond: offeredRate(step, counted, durationS),
    completedPerSecond: perSecond(completed.length),
    goodputPerSecond: perSecond(good),
    goodShare: counted.length === 0 ? 0 : good / counted.length,
    promptTokensPerSecond: perSecond(promptTokens.total),
    outputTokensPerSecond: perSecond(outputTokens.total),
    promptTokens,
    outputTokens,
    shortAnswers: completed.filter(({ asked, outputTokens: tokens }) => tokens < asked.outputTokens).length,
    beganWithReasoning: completed.filter((record) => record.beganWithReasoning).length,
    ttft: distributionOf(completed.flatMap((record) => ttftOf(record) ?? [])),
    tpot: distributionOf(completed.flatMap((record) => tpotOf(record) ?? [])),
    itl: distributionOf(pooledGaps(completed)),
    e2e: distributionOf(completed.map(latencyOf)),
    clientDelay:
      step.kind === 'open'
        ? distributionOf(counted.map(({ sentAt, startedAt }) => sentAt - startedAt))
        : undefined,
    serverQueue: serverTimes(completed, 'queueMs'),
    serverPrompt: serverTimes(completed, 'promptMs'),
    client,
  };
}

/** Open loop: requests over the time in which they were due. Closed: what the users managed to send. */
function offeredRate(step: Step, records: readonly RequestRecord[], durationS: number): number {
  if (step.kind === 'closed') return durationS === 0 ? 0 : records.length / durationS;
  const spanMs =
    maximum(records.map(({ startedAt }) => startedAt)) - minimum(records.map(({ startedAt }) => startedAt));
  return records.length < 2 || spanMs === 0 ? step.rate : ((records.length - 1) * 1000) / spanMs;
}

function promptCounts(records: readonly RequestRecord[]): TokenCounts {
  const usages = records.filter(({ promptTokens }) => promptTokens !== undefined).length;
  const total = sum(records.map(({ promptTokens, asked }) => promptTokens ?? asked.promptTokens ?? 0));
  return {
    askedMean: meanOf(records.flatMap(({ asked }) => asked.promptTokens ?? [])),
    mean: records.length === 0 ? undefined : total / records.length,
    total,
    from: usages === records.length ? 'usage' : usages === 0 ? 'planned' : 'mixed',
  };
}

function outputCounts(records: readonly RequestRecord[]): TokenCounts {
  const usages = records.filter(({ tokensFrom }) => tokensFrom === 'usage').length;
  const total = sum(records.map(({ outputTokens }) => outputTokens));
  return {
    askedMean: meanOf(records.map(({ asked }) => asked.outputTokens)),
    mean: records.length === 0 ? undefined : total / records.length,
    total,
    from: usages === records.length ? 'usage' : usages === 0 ? 'events' : 'mixed',
  };
}

function pooledGaps(records: readonly RequestRecord[]): Float64Array {
  const pooled = new Float64Array(sum(records.map(({ gapsMs }) => gapsMs.length)));
  let at = 0;
  for (const { gapsMs } of records) {
    pooled.set(gapsMs, at);
    at += gapsMs.length;
  }
  return pooled;
}

function serverTimes(
  records: readonly RequestRecord[],
  field: keyof ServerTimings,
): Distribution | undefined {
  return distributionOf(records.flatMap(({ server }) => server?.[field] ?? []));
}

function countBy(names: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, one], [, other]) => other - one));
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const meanOf = (values: readonly number[]) => (values.length === 0 ? undefined : sum(values) / values.length);
/** Math.min and Math.max take no list of a hundred thousand. */
const minimum = (values: readonly number[]) =>
  values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
const maximum = (values: readonly number[]) =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
