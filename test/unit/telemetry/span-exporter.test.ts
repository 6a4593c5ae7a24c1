import { describe, expect, it } from 'vitest';
import type { Log } from '../../../src/core/log.ts';
import type { Refused } from '../../../src/telemetry/otlp-answer.ts';
import { SpanEncoder } from '../../../src/telemetry/otlp-encoding.ts';
import type { SpanData } from '../../../src/telemetry/request-spans.ts';
import { SpanQueue } from '../../../src/telemetry/span-exporter.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { decodeExport } from '../../support/otlp-receiver.ts';

interface Export {
  readonly spans: number;
  readonly resolve: (refused?: Refused) => void;
  readonly reject: (error: Error) => void;
}

/** A queue whose every export a test answers by hand. */
function queue() {
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const clock = new FakeClock();
  const exports: Export[] = [];
  const sender = {
    isClosed: false,
    send: (body: Uint8Array) =>
      new Promise<Refused | undefined>((resolve, reject) => {
        exports.push({ spans: decodeExport(Buffer.from(body)).length, resolve, reject });
      }),
    close: async () => {
      sender.isClosed = true;
      for (const { reject } of exports.splice(0)) reject(new Error('closed'));
    },
  };
  const encoder = new SpanEncoder({ resource: {}, scope: { name: 's', version: '1' }, doubles: new Set() });
  const spans = new SpanQueue({ url: 'http://receiver/v1/traces', encoder, sender, clock, log });
  /** Of the oldest export that has no answer; resolves with how many spans it had. */
  const answer = async (given?: Error | Refused): Promise<number> => {
    const [next] = exports.splice(0, 1);
    if (given instanceof Error) next?.reject(given);
    else next?.resolve(given);
    await clock.settle();
    return next?.spans ?? 0;
  };
  return { spans, lines, answer, clock, exports, sender };
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

const A_SECOND = 1000;

describe('spans', () => {
  it('are sent a second after the first of them, and counted when the receiver has them', async () => {
    const { spans, answer, lines, clock, exports } = queue();
    spans.add(spansOf(3));
    await clock.advance(A_SECOND / 2);
    spans.add(spansOf(2));
    await clock.advance(A_SECOND / 2 - 1);
    expect(exports).toHaveLength(0);
    await clock.advance(1);
    expect(spans.counts).toEqual({ exported: 0, dropped: 0, failed: 0 });
    expect(await answer()).toBe(5);
    expect(spans.counts).toEqual({ exported: 5, dropped: 0, failed: 0 });
    expect(lines).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('are sent at once when there are 512, those of one request together, at most four exports at a time', async () => {
    const { spans, answer, exports, clock } = queue();
    for (let request = 0; request < 600; request += 1) spans.add(spansOf(5));
    expect(exports.map((each) => each.spans)).toEqual([515, 515, 515, 515]);
    await answer();
    expect(exports.map((each) => each.spans)).toEqual([515, 515, 515, 515]);
    await clock.advance(A_SECOND);
    while (exports.length > 0) await answer();
    expect(spans.counts.exported).toBe(3000);
  });

  it('that cannot be exported are counted, and logged once until it works again', async () => {
    const { spans, answer, lines, clock } = queue();
    const send = async (count: number, given?: Error) => {
      spans.add(spansOf(count));
      await clock.advance(A_SECOND);
      await answer(given);
    };
    for (let turn = 0; turn < 3; turn += 1) await send(2, new Error('refused'));
    expect(spans.counts).toEqual({ exported: 0, dropped: 0, failed: 6 });
    expect(lines).toEqual(['Spans cannot be exported, and are lost until the receiver takes them again']);
    await send(1);
    await send(1, new Error('refused'));
    expect(lines.slice(1)).toEqual([
      'Spans are exported again',
      'Spans cannot be exported, and are lost until the receiver takes them again',
    ]);
  });

  it('that the receiver refuses of an export that it accepts count as failed', async () => {
    const { spans, answer, lines, clock } = queue();
    spans.add(spansOf(5));
    await clock.advance(A_SECOND);
    await answer({ spans: 2, message: 'too old' });
    expect(spans.counts).toEqual({ exported: 3, dropped: 0, failed: 2 });
    expect(lines).toEqual(['Spans cannot be exported, and are lost until the receiver takes them again']);
  });

  it('beyond those that may wait are dropped, a request’s all or none, with one warning', async () => {
    const { spans, answer, lines, exports } = queue();
    spans.add(spansOf(4094));
    spans.add(spansOf(3));
    spans.add(spansOf(3));
    spans.add(spansOf(2));
    expect(spans.counts.dropped).toBe(6);
    expect(lines).toEqual(['Spans are dropped: too many spans, or too long ones, wait to be exported']);
    await spans.close(0);
    expect(exports).toHaveLength(0);
    const other = queue();
    other.spans.add(spansOf(4096));
    other.spans.add(spansOf(1));
    expect(await other.answer()).toBe(4096);
    other.spans.add(spansOf(4096));
    other.spans.add(spansOf(1));
    expect(other.spans.counts.dropped).toBe(2);
    expect(other.lines).toHaveLength(2);
    await answer();
  });

  it('with prompts and answers are also bounded by their length', async () => {
    const { spans, answer, clock } = queue();
    for (let turn = 0; turn < 20; turn += 1) spans.add(spansOf(1, { contentLength: 1024 * 1024 }));
    expect(spans.counts.dropped).toBe(4);
    await clock.advance(A_SECOND);
    expect(await answer()).toBe(16);
    spans.add(spansOf(1, { contentLength: 1024 * 1024 }));
    await clock.advance(A_SECOND);
    expect(await answer()).toBe(1);
  });

  it('are sent before there are many where they are long', async () => {
    const { spans, exports } = queue();
    const attributes = { text: 'x'.repeat(1024 * 1024) };
    for (let turn = 0; turn < 4; turn += 1) spans.add(spansOf(1, { attributes }));
    expect(exports.map((each) => each.spans)).toEqual([4]);
  });

  it('that are held at the end are exported, and those that cannot be in time are counted as dropped', async () => {
    const { spans, answer, lines, sender } = queue();
    spans.add(spansOf(2));
    const closed = spans.close(10_000);
    await answer();
    await closed;
    expect(sender.isClosed).toBe(true);
    expect(spans.counts).toEqual({ exported: 2, dropped: 0, failed: 0 });
    spans.add(spansOf(1));
    expect(spans.counts.dropped).toBe(1);
    const late = queue();
    late.spans.add(spansOf(2));
    await late.spans.close(0);
    await late.clock.settle();
    expect(late.spans.counts).toEqual({ exported: 0, dropped: 2, failed: 0 });
    expect(late.lines).toEqual(['Spans were not exported before the end']);
    expect(lines).toEqual(['Spans are dropped: the server has ended']);
  });
});
