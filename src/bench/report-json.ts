/** A run as JSON: a stable shape, described in docs/how-to/bench-a-server.md. New fields may come; none changes its meaning within a version. */
import { lengthText } from './lengths.ts';
import type { StepMeasures, TokenCounts } from './measures.ts';
import type { Step } from './plan.ts';
import { latencyOf, type RequestRecord, tpotOf, ttftOf } from './record.ts';
import { addressText } from './report-text.ts';
import type { BenchRun, ServerShare } from './run.ts';
import type { Distribution, Percentile } from './statistics.ts';
import { clientProblem, verdict } from './verdict.ts';

export const FORMAT = 'llm-serve-bench';
export const FORMAT_VERSION = 1;

/** Where and when a run was made; the time is wall time in ISO 8601. */
export interface Origin {
  readonly version: string;
  readonly node: string;
  readonly startedAt: string;
}

export type DistributionJson = {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
} & Readonly<Record<'p50' | 'p90' | 'p95' | 'p99', PercentileJson>>;

/** `low` and `high`: it lies between them with a confidence of 95 %; null where too few were measured. */
export interface PercentileJson {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Lengths that no option gave. */
const OF_DATASET = 'dataset';

export type StepJson = ReturnType<typeof stepJson>;
export type RunJson = ReturnType<typeof runJson>;

export function runJson(run: BenchRun, origin: Origin, { raw }: { readonly raw: boolean }) {
  const { settings, server } = run;
  return {
    format: FORMAT,
    format_version: FORMAT_VERSION,
    version: origin.version,
    node: origin.node,
    started_at: origin.startedAt,
    address: addressText(run.addresses),
    server: server.name,
    protocol: server.protocol,
    model: run.model,
    settings: {
      dataset: run.datasetName ?? null,
      prompt_tokens: run.datasetName === undefined ? lengthText(settings.promptTokens) : OF_DATASET,
      output_tokens: settings.hasDatasetLengths ? OF_DATASET : lengthText(settings.outputTokens),
      prefix_tokens: settings.prefixTokens,
      prefix_share: settings.prefixShare,
      seed: settings.seed,
      warmup: settings.warmup,
      timeout_ms: settings.timeoutMs,
      think: settings.think ?? null,
      extra_body: settings.extraBody,
    },
    objectives_ms: settings.objectives,
    interrupted: run.end === 'interrupted',
    server_lost: run.end === 'server lost',
    notes: run.notes,
    verdict: verdict(
      run.steps.map(({ measures }) => measures),
      settings.objectives,
    ),
    steps: run.steps.map(({ measures, records, servers }) => ({
      ...stepJson(measures),
      servers: servers.map(shareJson),
      ...(raw && { requests_raw: records.map(recordJson) }),
    })),
  };
}

function stepJson(measures: StepMeasures) {
  return {
    load: loadJson(measures.step),
    duration_s: rounded(measures.durationS),
    requests: measures.requests,
    completed: measures.completed,
    rejected: measures.rejected,
    failed: measures.failed,
    cancelled: measures.cancelled,
    errors: measures.errors,
    good: measures.good,
    good_share: rounded(measures.goodShare),
    misses: measures.misses,
    offered_per_second: rounded(measures.offeredPerSecond),
    completed_per_second: rounded(measures.completedPerSecond),
    goodput_per_second: rounded(measures.goodputPerSecond),
    prompt_tokens_per_second: rounded(measures.promptTokensPerSecond),
    output_tokens_per_second: rounded(measures.outputTokensPerSecond),
    prompt_tokens: tokensJson(measures.promptTokens),
    output_tokens: { ...tokensJson(measures.outputTokens), short_answers: measures.shortAnswers },
    began_with_reasoning: measures.beganWithReasoning,
    ttft_ms: distributionJson(measures.ttft),
    tpot_ms: distributionJson(measures.tpot),
    itl_ms: distributionJson(measures.itl),
    e2e_ms: distributionJson(measures.e2e),
    client_delay_ms: distributionJson(measures.clientDelay),
    server_queue_ms: distributionJson(measures.serverQueue),
    server_prompt_ms: distributionJson(measures.serverPrompt),
    client:
      measures.client === undefined
        ? null
        : {
            cpu_share: rounded(measures.client.cpuShare),
            loop_lag_p99_ms: rounded(measures.client.loopLagP99Ms),
            problem: clientProblem(measures) ?? null,
          },
  };
}

/** What one of several servers did of a load. */
function shareJson({ address, measures }: ServerShare) {
  const { load: _, client: __, ...figures } = stepJson(measures);
  return { address, ...figures };
}

export type LoadJson =
  | { readonly kind: 'closed'; readonly concurrency: number }
  | { readonly kind: 'open'; readonly rate: number; readonly burstiness: number };

function loadJson(step: Step): LoadJson {
  return step.kind === 'closed'
    ? { kind: step.kind, concurrency: step.concurrency }
    : { kind: step.kind, rate: step.rate, burstiness: step.burstiness };
}

function tokensJson({ askedMean, mean, total, from }: TokenCounts) {
  return {
    asked_mean: askedMean === undefined ? null : rounded(askedMean),
    mean: mean === undefined ? null : rounded(mean),
    total,
    counted_by: from,
  };
}

function distributionJson(distribution: Distribution | undefined): DistributionJson | null {
  if (distribution === undefined) return null;
  const { count, mean, deviation, min, max, p50, p90, p95, p99 } = distribution;
  return {
    count,
    mean: rounded(mean),
    deviation: rounded(deviation),
    min: rounded(min),
    max: rounded(max),
    p50: percentileJson(p50),
    p90: percentileJson(p90),
    p95: percentileJson(p95),
    p99: percentileJson(p99),
  };
}

function percentileJson({ value, low, high }: Percentile): PercentileJson {
  return {
    value: rounded(value),
    low: low === null ? null : rounded(low),
    high: high === null ? null : rounded(high),
  };
}

function recordJson(record: RequestRecord) {
  const orNull = (value: number | undefined) => (value === undefined ? null : rounded(value));
  return {
    index: record.index,
    started_at_ms: rounded(record.startedAt),
    sent_at_ms: rounded(record.sentAt),
    ttft_ms: orNull(ttftOf(record)),
    tpot_ms: orNull(tpotOf(record)),
    e2e_ms: rounded(latencyOf(record)),
    outcome: record.outcome,
    error: record.error ?? null,
    finish_reason: record.finishReason ?? null,
    prompt_tokens: record.promptTokens ?? null,
    prompt_tokens_asked: record.asked.promptTokens ?? null,
    output_tokens: record.outputTokens,
    output_tokens_asked: record.asked.outputTokens,
    gaps_ms: [...record.gapsMs].map(rounded),
    server_queue_ms: orNull(record.server?.queueMs),
    server_prompt_ms: orNull(record.server?.promptMs),
  };
}

/** To the microsecond, where it is milliseconds. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
