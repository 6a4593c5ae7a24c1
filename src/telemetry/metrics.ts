/** The metrics of docs/reference/metrics.md, by the names that dashboards of the field use. Buckets follow the OpenTelemetry GenAI conventions. */
import type { Milliseconds } from '../core/clock.ts';
import { ERRORS } from '../core/errors.ts';
import { type Attempt, type RequestRecord, timingsOf } from '../core/request-trace.ts';
import {
  Counter,
  type CounterOptions,
  exposition,
  type MetricFamily,
  ModelHistogram,
  type Sample,
} from './prometheus.ts';

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
  }[];
  oldestRequestMs(): Milliseconds;
  edge(): { readonly connections: number; readonly bodyBytes: number };
}

const DURATION_SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN_SECONDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
const TOKEN_GAP_SECONDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const PREFIX = 'llm_serve_';
const REJECTIONS: ReadonlySet<number> = new Set([429, 503]);

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
    'From the queue to a slot.',
    DURATION_SECONDS,
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
  readonly #generationTokens = this.#counter(
    'generation_tokens_total',
    'Completion tokens of finished generations.',
    ['model'],
  );
  readonly #requests = this.#counter(
    'requests_total',
    'Requests by route and status; 499: the client left.',
    ['route', 'status'],
  );
  readonly #rejected = this.#counter('rejected_total', 'Requests answered 429 or 503, by code.', ['code']);
  readonly #cancelled = this.#counter('cancelled_total', 'Requests cancelled, by the phase they were in.', [
    'phase',
  ]);
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
    'Connections closed unread, by the setting whose bound was reached.',
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

  constructor({ version, source }: { readonly version: string; readonly source: GaugeSource }) {
    this.#gauge('build_info', 'Always 1; the version is its label.', () => [
      { labels: { version }, value: 1 },
    ]);
    this.#addGauges(source);
  }

  requestEnded({ route, status, trace, endedAt }: RequestRecord): void {
    this.#requests.add(1, route, String(status));
    const { errorCode } = trace;
    // By the error, not by the status: a stream that has committed is refused inside a 200.
    if (errorCode && REJECTIONS.has(ERRORS[errorCode].status)) this.#rejected.add(1, errorCode);
    if (trace.cancelPhase) this.#cancelled.add(1, trace.cancelPhase);
    const { model } = trace;
    if (model === undefined) return;
    if (trace.lackedRetryBudget) this.#budgetExhausted.add(1, model);
    if (trace.resumptions !== undefined) this.#resumptions.add(trace.resumptions, model, 'resumed');
    if (trace.notResumed !== undefined) this.#resumptions.add(1, model, 'not_resumed');
    const answeredAt = trace.endedAt ?? endedAt;
    const timings = timingsOf(trace, answeredAt);
    if (trace.dispatchedAt !== undefined) this.#queueTime.observe(model, timings.queueMs / 1000);
    if (trace.batch) this.#batchSize.observe(model, trace.batch.size);
    if (trace.firstTokenAt !== undefined && !trace.unstreamed)
      this.#timeToFirstToken.observe(model, (trace.firstTokenAt - trace.receivedAt) / 1000);
    if (!trace.usage) return;
    this.#latency.observe(model, timings.totalMs / 1000);
    this.#promptTokens.add(trace.usage.promptTokens, model);
    this.#generationTokens.add(trace.usage.completionTokens, model);
  }

  attemptEnded({ model, target, kind, after, outcome = 'completed' }: Attempt): void {
    this.#attempts.add(1, model, target, outcome);
    if (kind !== undefined) this.#retries.add(1, after ?? 'no_target', kind);
  }

  connectionRefused(bound: string): void {
    this.#connectionsRefused.add(1, bound);
  }

  tokenGap(model: string, gapMs: Milliseconds): void {
    this.#interTokenLatency.observe(model, gapMs / 1000);
  }

  malformedEvent(model: string, target: string): void {
    this.#malformedEvents.add(1, model, target);
  }

  /** What `GET /metrics` answers. */
  text(): string {
    return exposition(this.#families);
  }

  #histogram(name: string, help: string, buckets: readonly number[]): ModelHistogram {
    return this.#register(new ModelHistogram({ name: PREFIX + name, help, buckets }));
  }

  #counter(name: string, help: string, labels: CounterOptions['labels']): Counter {
    return this.#register(new Counter({ name: PREFIX + name, help, labels }));
  }

  #gauge(name: string, help: string, samples: () => readonly Sample[]): void {
    this.#register({ name: PREFIX + name, help, type: 'gauge', samples });
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

    const ofAll = (name: string, help: string, read: () => number) =>
      this.#gauge(name, help, () => [{ labels: {}, value: read() }]);
    ofAll(
      'oldest_request_seconds',
      'Age of the oldest generation under way; 0 when there is none.',
      () => source.oldestRequestMs() / 1000,
    );
    ofAll('connections', 'Open connections.', () => source.edge().connections);
    ofAll(
      'body_bytes_in_flight',
      'Bytes of bodies that are being received or parsed.',
      () => source.edge().bodyBytes,
    );
  }
}
