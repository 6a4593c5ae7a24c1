import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import type { Log } from '../../../src/core/log.ts';
import type { SpanData } from '../../../src/telemetry/request-spans.ts';
import { SpanQueue } from '../../../src/telemetry/span-exporter.ts';

type Export = Parameters<SpanExporter['export']>;

/** A queue over an SDK whose every export a test answers by hand. */
function queue() {
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const held: ReadableSpan[] = [];
  const exports: { readonly spans: readonly ReadableSpan[]; readonly answer: Export[1] }[] = [];
  let exporter: SpanExporter | undefined;
  const flush = () => {
    const spans = held.splice(0);
    if (spans.length > 0) exporter?.export(spans, () => {});
  };
  const spans = new SpanQueue(
    { url: 'http://receiver/v1/traces', log, version: '1' },
    {
      exporter: {
        export: (batch, answer) => void exports.push({ spans: batch, answer }),
        shutdown: async () => {},
      },
      resource: {} as ReadableSpan['resource'],
      processorOf: (counted) => {
        exporter = counted;
        return {
          onEnd: (span) => void held.push(span),
          shutdown: async () => flush(),
        };
      },
    },
  );
  const answer = (error?: Error) => {
    flush();
    const [next] = exports.splice(0, 1);
    next?.answer(error === undefined ? { code: 0 } : { code: 1, error });
    return next?.spans ?? [];
  };
  return { spans, lines, answer };
}

function spansOf(count: number, changes: Partial<SpanData> = {}): SpanData[] {
  return Array.from({ length: count }, () => ({
    name: 'queue',
    kind: 'internal',
    traceId: 'a'.repeat(32),
    tracestate: undefined,
    spanId: 'b'.repeat(16),
    parentSpanId: undefined,
    isParentRemote: false,
    startedAt: 1000,
    endedAt: 2000,
    attributes: {},
    isError: false,
    contentLength: 0,
    ...changes,
  }));
}

describe('spans', () => {
  it('are counted when they have been exported', () => {
    const { spans, answer, lines } = queue();
    spans.add(spansOf(3));
    expect(spans.counts).toEqual({ exported: 0, dropped: 0, failed: 0 });
    expect(answer()).toHaveLength(3);
    expect(spans.counts).toEqual({ exported: 3, dropped: 0, failed: 0 });
    expect(lines).toEqual([]);
  });

  it('are as the SDK reads them, times to the nanosecond', () => {
    const { spans, answer } = queue();
    const startedAt = 1_700_000_000_000 + 999.9999;
    spans.add(
      spansOf(1, {
        kind: 'server',
        startedAt,
        endedAt: startedAt + 1.5,
        tracestate: 'a=1',
        parentSpanId: 'c'.repeat(16),
        isParentRemote: true,
        isError: true,
      }),
    );
    const [span] = answer();
    expect(span).toMatchObject({
      kind: 1,
      status: { code: 2 },
      startTime: [1_700_000_001, 0],
      instrumentationScope: { name: 'llm-serve', version: '1' },
      parentSpanContext: { spanId: 'c'.repeat(16), isRemote: true },
    });
    expect(span?.spanContext()).toMatchObject({ spanId: 'b'.repeat(16), traceFlags: 1 });
    expect(span?.spanContext().traceState?.serialize()).toBe('a=1');
  });

  it('that cannot be exported are counted, and logged once until it works again', () => {
    const { spans, answer, lines } = queue();
    for (let turn = 0; turn < 3; turn += 1) {
      spans.add(spansOf(2));
      answer(new Error('refused'));
    }
    expect(spans.counts).toEqual({ exported: 0, dropped: 0, failed: 6 });
    expect(lines).toEqual(['Spans cannot be exported, and are lost until the receiver takes them again']);
    spans.add(spansOf(1));
    answer();
    spans.add(spansOf(1));
    answer(new Error('refused'));
    expect(lines.slice(1)).toEqual([
      'Spans are exported again',
      'Spans cannot be exported, and are lost until the receiver takes them again',
    ]);
  });

  it('beyond those that may wait are dropped, a request’s all or none, with one warning', () => {
    const { spans, answer, lines } = queue();
    spans.add(spansOf(4094));
    spans.add(spansOf(3));
    spans.add(spansOf(3));
    spans.add(spansOf(2));
    expect(spans.counts.dropped).toBe(6);
    expect(lines).toEqual(['Spans are dropped: too many wait to be exported']);
    expect(answer()).toHaveLength(4096);
    spans.add(spansOf(4096));
    spans.add(spansOf(1));
    expect(spans.counts.dropped).toBe(7);
    expect(lines).toHaveLength(2);
  });

  it('with prompts and answers are also bounded by their length', () => {
    const { spans, answer } = queue();
    for (let turn = 0; turn < 20; turn += 1) spans.add(spansOf(1, { contentLength: 1024 * 1024 }));
    expect(spans.counts.dropped).toBe(4);
    expect(answer()).toHaveLength(16);
    spans.add(spansOf(1, { contentLength: 1024 * 1024 }));
    expect(answer()).toHaveLength(1);
  });

  it('that are held at the end are exported, and those that cannot be in time are counted', async () => {
    const { spans, answer, lines } = queue();
    spans.add(spansOf(2));
    const closed = spans.close(10_000);
    answer();
    await closed;
    expect(spans.counts).toEqual({ exported: 2, dropped: 0, failed: 0 });
    spans.add(spansOf(1));
    expect(spans.counts.dropped).toBe(1);
    const late = queue();
    late.spans.add(spansOf(2));
    await late.spans.close(0);
    expect(late.spans.counts.dropped).toBe(2);
    expect(late.lines).toEqual(['Spans were not exported before the end']);
    expect(lines).toEqual(['Spans are dropped: too many wait to be exported']);
  });
});
