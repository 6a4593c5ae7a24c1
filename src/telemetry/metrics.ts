/** The metrics of docs/reference/metrics.md, by the names that dashboards of the field use. Buckets follow the OpenTelemetry GenAI conventions. */
import type { Milliseconds } from '../core/clock.ts';
import { isRejection } from '../core/errors.ts';
import { isFinished, meetsObjectives, type Objectives } from '../core/objectives.ts';
import { type Attempt, type RequestRecord, type RequestTrace, timingsOf } from '../core/request-trace.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import {
  type AcrossProcesses,
  Counter,
  type CounterOptions,
  exposition,
  Histogram,
  type MetricFamily,
  type Sample,
} from './prometheus.ts';
import type { SpanCounts } from './span-exporter.ts';
import { vllmFamilies } from './vllm-names.ts';

/** What the gauges read when they are scraped. */
export interface GaugeSource {
  loads(): readonly {
    readonly model: string;
    readonly waiting: number;
    readonly waitingBytes: number;
    readonly running: number;
  }[];
  targets(): readonly {
    readonly model: string;
    readonly target: string;
    readonly up: boolean;
    readonly health: string;
    /** By cause. */
    readonly ejections: ReadonlyMap<string, number>;
    readonly slots: number;
    readonly slotsUsed: number;
    readonly tokensInFlight: number;
    /** 0 to 1; undefined where its server does not report it. */
    readonly kvCacheUsed: number | undefined;
    /** How much it holds, where that is known. */
    readonly kvCacheTokens: number | undefined;
  }[];
  oldestRequestMs(): Milliseconds;
  /** Undefined where no traces are made. */
  spans(): SpanCounts | undefined;
  edge(): { readonly connections: number; readonly bodyBytes: number };
}

const DURATION_SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN_SECONDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
const TOKEN_GAP_SECONDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
/** Our own work is far below a millisecond; a pause before another try is not. */
const GATEWAY_SECONDS = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const PREFIX = 'llm_serve_';
/** Made once, not with every request. */
const STATUS_TEXTS: ReadonlyMap<number, string> = new Map(
  [200, 400, 429, 499, 502, 503, 504].map((status) => [status, String(status)]),
);

/** What a reload can change. Read with every request and every scrape. */
export interface MetricsSettings {
  objectives: Objectives;
  /** The main series are shown under the names of vLLM too. */
  vllmNames: boolean;
}

interface MetricsOptions {
  readonly version: string;
  readonly source: GaugeSource;
  readonly settings: MetricsSettings;
  readonly process: ProcessMetrics;
  /** Of other parts. */
  readonly more?: readonly MetricFamily[] | undefined;
}

export class Metrics {
  /** In the order of the page. */
  readonly #families: MetricFamily[] = [];

  readonly #timeToFirstToken = this.#histogram(
    'time_to_first_token_seconds',
    'From arrival to the first token; not of answers that are asked for whole.',
    FIRST_TOKEN_SECONDS,
  );
  readonly #interTokenLatency = this.#histogram(
    'inter_token_latency_seconds',
    'Between two tokens of one generation.',
    TOKEN_GAP_SECONDS,
  );
  readonly #queueTime = this.#histogram(
    'request_queue_time_seconds',
    'From the queue to a slot, of all tries together.',
    DURATION_SECONDS,
  );
  readonly #upstreamTime = this.#histogram(
    'request_upstream_time_seconds',
    'From a slot to the end of the answer, of all tries together.',
    DURATION_SECONDS,
  );
  readonly #gatewayTime = this.#histogram(
    'request_gateway_time_seconds',
    'The rest of the time from arrival to the end of the answer: reading, parsing, pauses between tries.',
    GATEWAY_SECONDS,
  );
  readonly #latency = this.#histogram(
    'e2e_request_latency_seconds',
    'From arrival to the end of the answer, of requests that finished.',
    DURATION_SECONDS,
  );
  readonly #batchSize = this.#histogram(
    'batch_size',
    'Size of the batch a request left in, per request.',
    BATCH_SIZES,
  );
  readonly #promptTokens = this.#counter(
    'prompt_tokens_total',
    'Prompt tokens of finished requests: generations and embeddings.',
    ['model'],
  );
  readonly #cachedTokens = this.#counter(
    'prompt_tokens_cached_total',
    'Of the prompt tokens, those that the backend had cached.',
    ['model'],
  );
  readonly #generationTokens = this.#counter(
    'generation_tokens_total',
    'Completion tokens of finished generations.',
    ['model'],
  );
  readonly #requests = this.#counter(
    'requests_total',
    'Requests by route and status; 499: the client left.',
    ['route', 'status', 'model'],
  );
  readonly #ended = this.#counter(
    'requests_ended_total',
    'Requests to models, by how they ended: the finish reason, cancelled, rejected (429, 503), or failed.',
    ['model', 'reason'],
  );
  readonly #withinObjectives = this.#counter(
    'requests_within_objectives_total',
    'Finished requests that met all objectives that are configured; without any: all that finished.',
    ['model'],
  );
  readonly #rejected = this.#counter('rejected_total', 'Requests answered 429 or 503, by code.', [
    'code',
    'model',
  ]);
  readonly #cancelled = this.#counter('cancelled_total', 'Requests cancelled, by the phase they were in.', [
    'phase',
    'model',
  ]);
  readonly #rateLimit = this.#counter(
    'rate_limit_decisions_total',
    'Requests that limits let in before their body was read (allowed), or answered 429 (limited), or 503, as their store could not be asked and limits.on_failure is closed (undecided). llm_serve_limit_decisions_total has all decisions.',
    ['decision'],
  );
  readonly #limitDecisions = this.#counter(
    'limit_decisions_total',
    'Decisions of limits, by the scopes that took part (allowed) or refused (limited): all, key, team, address, model. A request is decided before its body is read, and where tokens, money or its model are limited once more.',
    ['scope', 'decision'],
  );
  readonly #attempts = this.#counter(
    'attempts_total',
    'Tries at a target, by how they ended: completed, cancelled, rejected (the request was at fault), or the cause of the failure.',
    ['model', 'target', 'outcome'],
  );
  readonly #retries = this.#counter(
    'retries_total',
    'Further tries of a request, by the failure before and by where: elsewhere, here (the same target), other_model, resumed.',
    ['cause', 'kind'],
  );
  readonly #budgetExhausted = this.#counter(
    'retry_budget_exhausted_total',
    'Requests that were not tried again because retry.budget_percent and retry.budget_per_second were used up.',
    ['model'],
  );
  readonly #connectionsRefused = this.#counter(
    'connections_refused_total',
    'Connections closed unread, by the setting whose bound was reached; proxy_protocol: without the header that it requires.',
    ['bound'],
  );
  readonly #resumptions = this.#counter(
    'resumptions_total',
    'Streams that broke in the middle, by what came of them: resumed, each time that one went on; not_resumed: it could not go on exactly.',
    ['model', 'outcome'],
  );
  readonly #malformedEvents = this.#counter(
    'malformed_events_total',
    'Events of a backend’s stream that could not be read: skipped, or the end of their answer.',
    ['model', 'target'],
  );

  /** Shown while `vllmNames` is set. */
  readonly #vllm: readonly MetricFamily[];
  readonly #settings: MetricsSettings;
  readonly #process: ProcessMetrics;

  constructor({ version, source, settings, process, more = [] }: MetricsOptions) {
    this.#settings = settings;
    this.#process = process;
    const build = [{ labels: { version }, value: 1 }];
    this.#gauge('build_info', 'Always 1; the version is its label.', () => build, 'max');
    this.#addGauges(source);
    this.#families.push(...more, ...process.families);
    this.#vllm = vllmFamilies(
      {
        timeToFirstToken: this.#timeToFirstToken,
        interTokenLatency: this.#interTokenLatency,
        latency: this.#latency,
        queueTime: this.#queueTime,
        upstreamTime: this.#upstreamTime,
        promptTokens: this.#promptTokens,
        generationTokens: this.#generationTokens,
        ended: this.#ended,
      },
      source,
    );
  }

  requestEnded({ route, status, trace, endedAt }: RequestRecord): void {
    const { errorCode, model } = trace;
    this.#requests.add(1, route, STATUS_TEXTS.get(status) ?? String(status), model);
    // By the error, not by the status: a stream that has committed is refused inside a 200.
    if (errorCode && isRejection(errorCode)) this.#rejected.add(1, errorCode, model);
    if (trace.cancelPhase) this.#cancelled.add(1, trace.cancelPhase, model);
    if (model !== undefined) this.#modelAsked(model, trace, endedAt);
  }

  #modelAsked(model: string, trace: RequestTrace, endedAt: Milliseconds): void {
    const { target, usage, cancelPhase, errorCode, finishReason = 'stop' } = trace;
    if (trace.lackedRetryBudget) this.#budgetExhausted.add(1, model);
    if (trace.resumptions !== undefined) this.#resumptions.add(trace.resumptions, model, 'resumed');
    if (trace.notResumed !== undefined) this.#resumptions.add(1, model, 'not_resumed');
    if (cancelPhase !== undefined) this.#ended.add(1, model, 'cancelled');
    else if (errorCode === undefined) this.#ended.add(1, model, finishReason);
    else this.#ended.add(1, model, isRejection(errorCode) ? 'rejected' : 'failed');
    const isWithin = meetsObjectives(trace, endedAt, this.#settings.objectives);
    // The series of a model begins with its first request, also with one that does not count.
    this.#withinObjectives.add(isWithin ? 1 : 0, model);
    const timings = timingsOf(trace, trace.endedAt ?? endedAt);
    if (trace.dispatchedAt !== undefined) {
      this.#queueTime.observe(timings.queueMs / 1000, model, target);
      this.#upstreamTime.observe(timings.upstreamMs / 1000, model, target);
      this.#gatewayTime.observe(timings.gatewayMs / 1000, model, target);
    }
    if (trace.batch) this.#batchSize.observe(trace.batch.size, model);
    if (trace.firstTokenAt !== undefined && !trace.unstreamed)
      this.#timeToFirstToken.observe((trace.firstTokenAt - trace.receivedAt) / 1000, model, target);
    if (usage === undefined || !isFinished(trace)) return;
    this.#latency.observe(timings.totalMs / 1000, model, target);
    this.#promptTokens.add(usage.promptTokens, model);
    this.#cachedTokens.add(usage.cachedTokens, model);
    this.#generationTokens.add(usage.completionTokens, model);
  }

  attemptEnded({ model, target, kind, after, outcome = 'completed' }: Attempt): void {
    this.#attempts.add(1, model, target, outcome);
    if (kind !== undefined) this.#retries.add(1, after ?? 'no_target', kind);
  }

  connectionRefused(bound: string): void {
    this.#connectionsRefused.add(1, bound);
  }

  rateLimited(decision: 'allowed' | 'limited' | 'undecided'): void {
    this.#rateLimit.add(1, decision);
  }

  limitDecided(scope: string, decision: 'allowed' | 'limited'): void {
    this.#limitDecisions.add(1, scope, decision);
  }

  tokenGap(model: string, gapMs: Milliseconds, target: string | undefined): void {
    this.#interTokenLatency.observe(gapMs / 1000, model, target);
  }

  malformedEvent(model: string, target: string): void {
    this.#malformedEvents.add(1, model, target);
  }

  /** What `GET /metrics` answers. */
  text(): string {
    return exposition(this.read());
  }

  /** Its families, whose samples are to be taken now. */
  read(): readonly MetricFamily[] {
    this.#process.read();
    return this.#settings.vllmNames ? [...this.#families, ...this.#vllm] : this.#families;
  }

  #histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    return this.#register(new Histogram({ name: PREFIX + name, help, buckets }));
  }

  #counter(name: string, help: string, labels: CounterOptions['labels']): Counter {
    return this.#register(new Counter({ name: PREFIX + name, help, labels }));
  }

  #gauge(
    name: string,
    help: string,
    samples: () => readonly Sample[],
    across: AcrossProcesses = 'sum',
  ): void {
    this.#register({ name: PREFIX + name, help, type: 'gauge', across, samples });
  }

  #register<Family extends MetricFamily>(family: Family): Family {
    this.#families.push(family);
    return family;
  }

  #addGauges(source: GaugeSource): void {
    const perModel = (
      name: string,
      help: string,
      read: (load: ReturnType<GaugeSource['loads']>[number]) => number,
    ) =>
      this.#gauge(name, help, () =>
        source.loads().map((load) => ({ labels: { model: load.model }, value: read(load) })),
      );
    perModel('requests_waiting', 'Requests in the queue.', ({ waiting }) => waiting);
    perModel('queue_bytes', 'Prompt bytes in the queue.', ({ waitingBytes }) => waitingBytes);
    perModel('requests_running', 'Requests that hold a slot.', ({ running }) => running);

    const perTarget = (
      name: string,
      help: string,
      read: (target: ReturnType<GaugeSource['targets']>[number]) => number,
    ) =>
      this.#gauge(name, help, () =>
        source
          .targets()
          .map((state) => ({ labels: { model: state.model, target: state.target }, value: read(state) })),
      );
    perTarget('target_up', '1 when requests can be sent there.', ({ up }) => (up ? 1 : 0));
    this.#gauge('target_health', 'Always 1; the label health is its state.', () =>
      source.targets().map(({ model, target, health }) => ({ labels: { model, target, health }, value: 1 })),
    );
    this.#register({
      name: `${PREFIX}target_ejections_total`,
      help: 'How often it was taken out of service for failed requests, by the cause of the last one.',
      type: 'counter',
      samples: () =>
        source
          .targets()
          .flatMap(({ model, target, ejections }) =>
            [...ejections].map(([cause, value]) => ({ labels: { model, target, cause }, value })),
          ),
    });
    perTarget('slots', 'Requests that may run there at once.', ({ slots }) => slots);
    perTarget('slots_used', 'Slots that are held.', ({ slotsUsed }) => slotsUsed);
    perTarget(
      'tokens_in_flight',
      'Estimated tokens of what runs there.',
      ({ tokensInFlight }) => tokensInFlight,
    );

    this.#gauge(
      'target_kv_cache_usage',
      'Part of its KV cache in use, 0 to 1, where its server reports it; of the embedded engine, what running requests hold.',
      () =>
        source
          .targets()
          .flatMap(({ model, target, kvCacheUsed }) =>
            kvCacheUsed === undefined ? [] : [{ labels: { model, target }, value: kvCacheUsed }],
          ),
    );

    const ofAll = (name: string, help: string, read: () => number, across?: AcrossProcesses) =>
      this.#gauge(name, help, () => [{ labels: {}, value: read() }], across);
    ofAll(
      'oldest_request_seconds',
      'Age of the oldest generation under way; 0 when there is none.',
      () => source.oldestRequestMs() / 1000,
      'max',
    );
    this.#register({
      name: `${PREFIX}spans_total`,
      help: 'Spans of traces, by what became of them: exported, failed (the receiver did not take them), dropped (too many were waiting). Only with tracing.endpoint.',
      type: 'counter',
      samples: () =>
        Object.entries(source.spans() ?? {}).map(([outcome, value]) => ({ labels: { outcome }, value })),
    });
    ofAll('connections', 'Open connections.', () => source.edge().connections);
    ofAll(
      'body_bytes_in_flight',
      'Bytes of bodies that are being received or parsed.',
      () => source.edge().bodyBytes,
    );
  }
}
