/**
 * Sends spans to an OTLP receiver, in batches, over OpenTelemetry's SDK, which is loaded only here and only when traces are on. It owns
 * the bound on what is held: beyond it spans are dropped and counted. An export that fails disturbs nothing: it is counted, and
 * logged once until exports succeed again.
 */
import type { HrTime, SpanContext, TraceState } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Milliseconds } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { SpanData } from './request-spans.ts';

export interface ExporterOptions {
  /** Spans are posted to it. */
  readonly url: string;
  /** Sent with every export. */
  readonly headers: Readonly<Record<string, string>>;
  /** Attributes of this process: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
  readonly log: Log;
}

/** Spans since the start, by what became of them. */
export interface SpanCounts {
  readonly exported: number;
  /** Never sent: too many were waiting. */
  readonly dropped: number;
  /** The receiver refused them, or could not be reached. */
  readonly failed: number;
}

const MAX_SPANS = 4096;
/** Of prompts and answers, in all spans that wait. */
const MAX_CONTENT_CHARACTERS = 16 * 1024 * 1024;
const MAX_BATCH = 512;
const EXPORT_EVERY_MS = 1000;
/** For one batch, with the exporter's own retries. */
const EXPORT_WITHIN_MS = 10_000;

const SAMPLED = 1;
const KINDS = { internal: 0, server: 1, client: 2 } as const;
const STATUS_UNSET = { code: 0 } as const;
const STATUS_ERROR = { code: 2 } as const;

/** Rejects where the SDK cannot be loaded. */
export async function openSpanExporter(options: ExporterOptions): Promise<SpanQueue> {
  const [{ BatchSpanProcessor }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({
    url: options.url,
    headers: { ...options.headers },
    timeoutMillis: EXPORT_WITHIN_MS,
  });
  return new SpanQueue(options, {
    exporter,
    resource: resourceFromAttributes({ ...options.resource }),
    processorOf: (counted) =>
      new BatchSpanProcessor(counted, {
        maxQueueSize: MAX_SPANS,
        maxExportBatchSize: MAX_BATCH,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: EXPORT_WITHIN_MS,
      }),
  });
}

interface Sdk {
  readonly exporter: SpanExporter;
  readonly resource: ReadableSpan['resource'];
  readonly processorOf: (exporter: SpanExporter) => {
    onEnd(span: ReadableSpan): void;
    shutdown(): Promise<void>;
  };
}

export class SpanQueue {
  readonly #options: Pick<ExporterOptions, 'url' | 'log' | 'version'>;
  readonly #sdk: Sdk;
  readonly #processor: ReturnType<Sdk['processorOf']>;
  readonly #scope: ReadableSpan['instrumentationScope'];
  #held = 0;
  #heldCharacters = 0;
  #exported = 0;
  #dropped = 0;
  #failed = 0;
  /** Since the last export that succeeded. */
  #isFailing = false;
  #isDropping = false;
  #isClosed = false;

  constructor(options: Pick<ExporterOptions, 'url' | 'log' | 'version'>, sdk: Sdk) {
    this.#options = options;
    this.#sdk = sdk;
    this.#scope = { name: 'llm-serve', version: options.version };
    this.#processor = sdk.processorOf({
      export: (spans, onResult) =>
        sdk.exporter.export(spans, (result) => {
          this.#ended(spans, result.code === 0 ? undefined : (result.error ?? new Error('unknown')));
          onResult(result);
        }),
      shutdown: () => sdk.exporter.shutdown(),
    });
  }

  get counts(): SpanCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed };
  }

  /** Of one request: all or none. */
  add(spans: readonly SpanData[]): void {
    let characters = 0;
    for (const { contentLength } of spans) characters += contentLength;
    const isFull =
      this.#held + spans.length > MAX_SPANS || this.#heldCharacters + characters > MAX_CONTENT_CHARACTERS;
    if (isFull || this.#isClosed) {
      this.#drop(spans.length);
      return;
    }
    this.#held += spans.length;
    this.#heldCharacters += characters;
    for (const span of spans) this.#processor.onEnd(this.#readable(span));
  }

  /** Exports what is held; what has not gone after that time counts as dropped. Never rejects. */
  async close(withinMs: Milliseconds): Promise<void> {
    this.#isClosed = true;
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.#processor.shutdown().catch(() => {}), late]);
    clearTimeout(limit);
    if (this.#held === 0) return;
    this.#options.log.warn('Spans were not exported before the end', { spans: this.#held });
    this.#dropped += this.#held;
    this.#held = 0;
  }

  #ended(spans: readonly ReadableSpan[], error: Error | undefined): void {
    const { log, url } = this.#options;
    this.#held -= spans.length;
    for (const span of spans) this.#heldCharacters -= contentLengthOf(span);
    if (this.#held < MAX_SPANS / 2) this.#isDropping = false;
    if (error === undefined) {
      this.#exported += spans.length;
      if (this.#isFailing) log.info('Spans are exported again', { url, lost: this.#failed + this.#dropped });
      this.#isFailing = false;
      return;
    }
    this.#failed += spans.length;
    if (this.#isFailing) return;
    this.#isFailing = true;
    log.warn('Spans cannot be exported, and are lost until the receiver takes them again', {
      url,
      cause: error.message,
    });
  }

  #drop(spans: number): void {
    this.#dropped += spans;
    if (this.#isDropping) return;
    this.#isDropping = true;
    this.#options.log.warn('Spans are dropped: too many wait to be exported', { waiting: this.#held });
  }

  #readable(span: SpanData): HeldSpan {
    return new HeldSpan(span, this.#sdk.resource, this.#scope);
  }
}

function contentLengthOf(span: ReadableSpan): number {
  return span instanceof HeldSpan ? span.contentLength : 0;
}

const NONE: readonly never[] = [];

/** A span as the SDK's exporters read it. */
class HeldSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: number;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly duration: HrTime;
  readonly status: ReadableSpan['status'];
  readonly attributes: ReadableSpan['attributes'];
  readonly resource: ReadableSpan['resource'];
  readonly instrumentationScope: ReadableSpan['instrumentationScope'];
  readonly contentLength: number;
  readonly links = NONE as unknown as ReadableSpan['links'];
  readonly events = NONE as unknown as ReadableSpan['events'];
  readonly ended = true;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;
  readonly parentSpanContext?: SpanContext;
  readonly #context: SpanContext;

  constructor(
    span: SpanData,
    resource: ReadableSpan['resource'],
    scope: ReadableSpan['instrumentationScope'],
  ) {
    const { spanId, parentSpanId, isParentRemote } = span;
    this.name = span.name;
    this.kind = KINDS[span.kind];
    this.startTime = hrTime(span.startedAt);
    this.endTime = hrTime(span.endedAt);
    this.duration = hrTime(span.endedAt - span.startedAt);
    this.status = span.isError ? STATUS_ERROR : STATUS_UNSET;
    this.attributes = span.attributes as ReadableSpan['attributes'];
    this.resource = resource;
    this.instrumentationScope = scope;
    this.contentLength = span.contentLength;
    this.#context = contextOf(span, spanId, false);
    if (parentSpanId !== undefined) this.parentSpanContext = contextOf(span, parentSpanId, isParentRemote);
  }

  spanContext(): SpanContext {
    return this.#context;
  }
}

function contextOf({ traceId, tracestate }: SpanData, spanId: string, isRemote: boolean): SpanContext {
  if (tracestate === undefined) return { traceId, spanId, traceFlags: SAMPLED, isRemote };
  return { traceId, spanId, traceFlags: SAMPLED, isRemote, traceState: new FixedTraceState(tracestate) };
}

/** The caller's, as it is: nothing is added to it. */
class FixedTraceState implements TraceState {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  serialize(): string {
    return this.#text;
  }

  get(): undefined {
    return undefined;
  }

  set(): TraceState {
    return this;
  }

  unset(): TraceState {
    return this;
  }
}

function hrTime(milliseconds: Milliseconds): HrTime {
  const seconds = Math.floor(milliseconds / 1000);
  const nanoseconds = Math.round((milliseconds - seconds * 1000) * 1e6);
  return nanoseconds < 1e9 ? [seconds, nanoseconds] : [seconds + 1, 0];
}
