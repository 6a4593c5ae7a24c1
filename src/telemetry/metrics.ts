/** The metrics of docs/reference/metrics.md, under the nouns that dashboards of the field know. Buckets follow the OpenTelemetry GenAI conventions. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Milliseconds } from '../core/clock.ts';
import { ERRORS } from '../core/errors.ts';
import { timingsOf } from '../core/receipt.ts';
import type { RequestRecord } from '../core/telemetry.ts';
import { ModelHistogram } from './model-histogram.ts';

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
  readonly registry = new Registry();
  readonly #model: { labelNames: ['model']; registers: Registry[] } = {
    labelNames: ['model'],
    registers: [this.registry],
  };

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
  readonly #promptTokens = new Counter({
    ...this.#model,
    name: `${PREFIX}prompt_tokens_total`,
    help: 'Prompt tokens of finished requests: generations and embeddings.',
  });
  readonly #generationTokens = new Counter({
    ...this.#model,
    name: `${PREFIX}generation_tokens_total`,
    help: 'Completion tokens of finished generations.',
  });
  readonly #requests = new Counter({
    registers: [this.registry],
    name: `${PREFIX}requests_total`,
    help: 'Requests by route and status; 499: the client left.',
    labelNames: ['route', 'status'],
  });
  readonly #rejected = new Counter({
    registers: [this.registry],
    name: `${PREFIX}rejected_total`,
    help: 'Requests answered 429 or 503, by code.',
    labelNames: ['code'],
  });
  readonly #cancelled = new Counter({
    registers: [this.registry],
    name: `${PREFIX}cancelled_total`,
    help: 'Requests cancelled, by the phase they were in.',
    labelNames: ['phase'],
  });

  readonly #connectionsRefused = new Counter({
    registers: [this.registry],
    name: `${PREFIX}connections_refused_total`,
    help: 'Connections closed unread, by the setting whose bound was reached.',
    labelNames: ['bound'],
  });

  constructor(options: { readonly version: string; readonly source: GaugeSource }) {
    new Gauge({
      registers: [this.registry],
      name: `${PREFIX}build_info`,
      help: 'Always 1; the version is its label.',
      labelNames: ['version'],
    }).set({ version: options.version }, 1);
    this.#addGauges(options.source);
  }

  requestEnded({ route, status, receipt, endedAt }: RequestRecord): void {
    this.#requests.inc({ route, status: String(status) });
    const { errorCode } = receipt;
    // By the error, not by the status: a stream that has committed is refused inside a 200.
    if (errorCode && REJECTIONS.has(ERRORS[errorCode].status)) this.#rejected.inc({ code: errorCode });
    if (receipt.cancelPhase) this.#cancelled.inc({ phase: receipt.cancelPhase });
    const { model } = receipt;
    if (model === undefined) return;
    const timings = timingsOf(receipt, endedAt);
    if (receipt.dispatchedAt !== undefined) this.#queueTime.observe(model, timings.queueMs / 1000);
    if (receipt.batch) this.#batchSize.observe(model, receipt.batch.size);
    if (receipt.firstTokenAt !== undefined && !receipt.askedWhole)
      this.#timeToFirstToken.observe(model, timings.ttftMs / 1000);
    if (!receipt.usage) return;
    this.#latency.observe(model, timings.totalMs / 1000);
    this.#promptTokens.inc({ model }, receipt.usage.promptTokens);
    this.#generationTokens.inc({ model }, receipt.usage.completionTokens);
  }

  connectionRefused(bound: string): void {
    this.#connectionsRefused.inc({ bound });
  }

  tokenGap(model: string, gapMs: Milliseconds): void {
    this.#interTokenLatency.observe(model, gapMs / 1000);
  }

  #histogram(name: string, help: string, buckets: readonly number[]): ModelHistogram {
    return new ModelHistogram({ name: PREFIX + name, help, buckets, registry: this.registry });
  }

  #addGauges(source: GaugeSource): void {
    const perModel = (
      name: string,
      help: string,
      read: (load: ReturnType<GaugeSource['loads']>[number]) => number,
    ) =>
      new Gauge({
        ...this.#model,
        name: PREFIX + name,
        help,
        collect() {
          for (const load of source.loads()) this.set({ model: load.model }, read(load));
        },
      });
    perModel('requests_waiting', 'Requests in the queue.', ({ waiting }) => waiting);
    perModel('queue_bytes', 'Prompt bytes in the queue.', ({ waitingBytes }) => waitingBytes);
    perModel('requests_running', 'Requests that hold a slot.', ({ running }) => running);

    const perTarget = (
      name: string,
      help: string,
      read: (target: ReturnType<GaugeSource['targets']>[number]) => number,
    ) =>
      new Gauge({
        registers: [this.registry],
        labelNames: ['model', 'target'],
        name: PREFIX + name,
        help,
        collect() {
          for (const state of source.targets())
            this.set({ model: state.model, target: state.target }, read(state));
        },
      });
    perTarget('target_up', '1 when requests can be sent there.', ({ up }) => (up ? 1 : 0));
    perTarget('slots', 'Requests that may run there at once.', ({ slots }) => slots);
    perTarget('slots_used', 'Slots that are held.', ({ slotsUsed }) => slotsUsed);
    perTarget(
      'tokens_in_flight',
      'Estimated tokens of what runs there.',
      ({ tokensInFlight }) => tokensInFlight,
    );

    const ofAll = (name: string, help: string, read: () => number) =>
      new Gauge({
        registers: [this.registry],
        name: PREFIX + name,
        help,
        collect() {
          this.set(read());
        },
      });
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
