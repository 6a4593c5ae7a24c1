/** Creates what counts and tells what requests did; a part of compose.ts. */
import type { openLimits } from './compose-limits.ts';
import type { createUsage } from './compose-usage.ts';
import type { ApplicationLog } from './core/log.ts';
import type { Telemetry } from './core/request-trace.ts';
import { SharedAnswer } from './core/shared-answer.ts';
import type { BodyBudget } from './http/body-limits.ts';
import type { Serving } from './serving/serving.ts';
import { getsRequests, type Target } from './serving/targets.ts';
import { systemClock } from './system-clock.ts';
import type { KeyMetrics } from './telemetry/key-metrics.ts';
import type { SnapshotFeed } from './telemetry/live-feed.ts';
import { isProbe, REQUEST, requestFields } from './telemetry/log.ts';
import { type GaugeSource, Metrics, type MetricsSettings } from './telemetry/metrics.ts';
import type { ProcessMetrics } from './telemetry/process-metrics.ts';
import { type ReadFamily, readFamilies } from './telemetry/process-sum.ts';
import { EXPOSITION_TYPE, type MetricFamily } from './telemetry/prometheus.ts';
import type { Recorder } from './telemetry/recorder.ts';
import type { Tracing } from './telemetry/tracing.ts';

interface ProcessTelemetry extends Telemetry {
  /** Metrics of this process alone. */
  read(): readonly ReadFamily[];
}

export function createTelemetry(parts: {
  readonly serving: Serving;
  readonly log: ApplicationLog;
  readonly version: string;
  readonly bodyBudget: BodyBudget;
  readonly openConnections: () => number;
  readonly settings: MetricsSettings;
  readonly process: ProcessMetrics;
  readonly live: Pick<SnapshotFeed, 'requestEnded' | 'tokenGap'>;
  readonly tracing: Tracing | undefined;
  readonly recorder: Pick<Recorder, 'requestEnded'> | undefined;
  readonly usage: ReturnType<typeof createUsage>;
  readonly limits: Pick<Awaited<ReturnType<typeof openLimits>>, 'families'>;
  readonly keyMetrics: KeyMetrics;
  readonly storeFamilies: readonly MetricFamily[];
  /** Absent: this process serves alone, and so has all metrics. */
  readonly metricsOfAll?: (() => Promise<string>) | undefined;
}): ProcessTelemetry {
  const { serving, log, version, bodyBudget, openConnections, settings, live, tracing, recorder, usage } =
    parts;
  const { metricsOfAll } = parts;
  const metrics = new Metrics({
    version,
    settings,
    process: parts.process,
    more: [...parts.storeFamilies, ...usage.families, ...parts.limits.families, ...parts.keyMetrics.families],
    source: {
      // Of what there is once, the control process tells.
      ...(metricsOfAll === undefined ? queueGauges(serving) : { loads: () => [], targets: () => [] }),
      oldestRequestMs: () => {
        const receivedAt = serving.drain.oldestReceivedAt;
        return receivedAt === undefined ? 0 : systemClock.now() - receivedAt;
      },
      spans: () => tracing?.counts,
      edge: () => ({ connections: openConnections(), bodyBytes: bodyBudget.bytes }),
    },
  });
  const ownPage = async () => {
    // All who ask in the same turn share it.
    await new Promise<void>((resolve) => systemClock.atEndOfTurn(resolve));
    return metrics.text();
  };
  const page = new SharedAnswer(metricsOfAll ?? ownPage);
  return {
    requestEnded: (record) => {
      metrics.requestEnded(record);
      usage.requestEnded(record);
      live.requestEnded(record);
      tracing?.requestEnded(record);
      recorder?.requestEnded(record);
      if (isProbe(record)) log.debug(REQUEST, requestFields(record));
      else log.request(requestFields(record));
    },
    connectionRefused: (bound) => metrics.connectionRefused(bound),
    attemptEnded: (attempt) => metrics.attemptEnded(attempt),
    rateLimited: (decision) => metrics.rateLimited(decision),
    limitDecided: (scope, decision) => metrics.limitDecided(scope, decision),
    tokenGap: (model, gapMs, target) => {
      metrics.tokenGap(model, gapMs, target);
      live.tokenGap(gapMs);
    },
    malformedEvent: (model, target) => metrics.malformedEvent(model, target),
    metrics: async () => ({
      contentType: EXPOSITION_TYPE,
      text: await page.get(),
    }),
    read: () => readFamilies(metrics.read()),
  };
}

/** A sequence of the context's size for each slot; of other servers what they hold is not known. */
function kvCacheTokens({ embedded, status }: Target, slots: number): number | undefined {
  const { state, contextSize, abilities } = status;
  const generates = abilities?.includes('generate') === true;
  return embedded && state === 'ready' && generates && contextSize !== undefined
    ? slots * contextSize
    : undefined;
}

export function queueGauges(serving: Serving): Pick<GaugeSource, 'loads' | 'targets'> {
  return {
    loads: () => serving.loads(),
    targets: () =>
      serving.targets.all.map((target) => {
        const { slots, tokens } = serving.usedOf(target);
        return {
          model: target.model,
          target: target.id,
          up: getsRequests(target),
          health: target.health,
          ejections: serving.ejectionsOf(target),
          slots: serving.slotsOf(target),
          slotsUsed: slots,
          tokensInFlight: tokens,
          kvCacheUsed: target.status.load?.kvCacheUsed ?? target.status.kvCacheUsed,
          kvCacheTokens: kvCacheTokens(target, serving.slotsOf(target)),
        };
      }),
  };
}
