/** Traces, where they are on: puts their parts together, joins the trace of each request, and hands its spans to the exporter when it has ended. */
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { RequestRecord } from '../core/request-trace.ts';
import { type CallerContext, joinTrace, type TraceContext } from '../core/trace-context.ts';
import { openOtlpConnection, type Receiver } from './otlp-connection.ts';
import { SpanEncoder } from './otlp-encoding.ts';
import { OtlpSender } from './otlp-sender.ts';
import { DOUBLES, type SpanSource, spansOf } from './request-spans.ts';
import { type SpanCounts, SpanQueue } from './span-exporter.ts';

export interface Tracing {
  joinTrace(caller: CallerContext | undefined): TraceContext;
  requestEnded(record: RequestRecord): void;
  readonly counts: SpanCounts;
  /** Exports what is held. Never rejects. */
  close(withinMs: Milliseconds): Promise<void>;
}

interface TracingOptions {
  readonly receiver: Omit<Receiver, 'version'>;
  /** Attributes of this process: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
  readonly log: Log;
  readonly sampleRatio: number;
  readonly clock: Clock;
  readonly randomDigits: (digits: number) => string;
  readonly targetOf: SpanSource['targetOf'];
}

export function openTracing(options: TracingOptions): Tracing {
  const { receiver, resource, version, log, clock, sampleRatio: ratio, randomDigits, targetOf } = options;
  const spans = new SpanQueue({
    url: receiver.url,
    encoder: new SpanEncoder({ resource, scope: { name: 'llm-serve', version }, doubles: DOUBLES }),
    sender: new OtlpSender({
      connection: openOtlpConnection({ ...receiver, version }),
      clock,
      random: Math.random,
    }),
    clock,
    log,
  });
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
