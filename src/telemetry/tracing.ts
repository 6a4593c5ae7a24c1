/** Traces, where they are on: joins the trace of each request, and hands its spans to the exporter when it has ended. */
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { RequestRecord } from '../core/request-trace.ts';
import { type CallerContext, joinTrace, type TraceContext } from '../core/trace-context.ts';
import { type SpanSource, spansOf } from './request-spans.ts';
import { type ExporterOptions, openSpanExporter, type SpanCounts } from './span-exporter.ts';

export interface Tracing {
  joinTrace(caller: CallerContext | undefined): TraceContext;
  requestEnded(record: RequestRecord): void;
  readonly counts: SpanCounts;
  /** Exports what is held. Never rejects. */
  close(withinMs: Milliseconds): Promise<void>;
}

interface TracingOptions {
  readonly exporter: ExporterOptions;
  readonly sampleRatio: number;
  readonly clock: Clock;
  readonly randomDigits: (digits: number) => string;
  readonly targetOf: SpanSource['targetOf'];
}

/** Loads OpenTelemetry's SDK. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const { clock, sampleRatio: ratio, randomDigits, targetOf } = options;
  const spans = await openSpanExporter(options.exporter);
  return {
    joinTrace: (caller) => joinTrace(caller, { ratio, randomDigits }),
    requestEnded: (record) => {
      if (!isWorthATrace(record)) return;
      spans.add(spansOf(record, { targetOf, epochMs: clock.wallNow() - clock.now() }));
    },
    get counts() {
      return spans.counts;
    },
    close: (withinMs) => spans.close(withinMs),
  };
}

/** What is asked of a model comes by POST. Probes, metrics and pages are traced only for a caller who traces them. */
function isWorthATrace({ method, trace }: RequestRecord): boolean {
  return method === 'POST' || trace.traceContext?.parentSpanId !== undefined;
}
