import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpanEncoder } from '../../../src/telemetry/otlp-encoding.ts';
import type { SpanAttributes, SpanData } from '../../../src/telemetry/request-spans.ts';
import { anySpan, asSent, nanoseconds } from '../../support/any-span.ts';
import { decodeExport, type ReceivedSpan } from '../../support/otlp-receiver.ts';

const RESOURCE = { 'service.name': 'müller', empty: '', long: 'x'.repeat(300) };
const SCOPE = { name: 'llm-serve', version: '1.2.3' };
const DOUBLES: ReadonlySet<string> = new Set(['double']);

const newEncoder = () => new SpanEncoder({ resource: RESOURCE, scope: SCOPE, doubles: DOUBLES });

const SPAN: SpanData = {
  name: 'queue',
  kind: 'internal',
  traceId: '0123456789abcdeffedcba9876543210',
  tracestate: undefined,
  spanId: '00000000000000ff',
  parentSpanId: undefined,
  isParentRemote: false,
  startedAt: 1000,
  endedAt: 2000,
  attributes: {},
  isError: false,
  contentLength: 0,
};

function decoded(...spans: readonly Partial<SpanData>[]): readonly ReceivedSpan[] {
  const encoder = newEncoder();
  for (const span of spans) encoder.add({ ...SPAN, ...span });
  return decodeExport(Buffer.from(encoder.take()));
}

function sentValue(value: SpanAttributes[string]): unknown {
  if (typeof value === 'string') return asSent(value);
  if (typeof value === 'object') return value.map(asSent);
  return value === 0 ? 0 : value;
}

/** Names that are the same once they are sent are told apart by no receiver. */
function sentAttributes(attributes: SpanAttributes): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [asSent(name), sentValue(value)]),
  );
}

describe('an export', () => {
  it('is read by the official field numbers as the spans that were added, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(anySpan, { minLength: 1, maxLength: 5 }), (added) => {
        const received = decoded(...added);
        expect(received).toHaveLength(added.length);
        for (const [index, span] of added.entries()) {
          const remote = span.isParentRemote ? 0x200 : 0;
          expect(received[index]).toEqual({
            name: asSent(span.name),
            kind: span.kind,
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId,
            tracestate: asSent(span.tracestate ?? ''),
            startedAt: Number(nanoseconds(span.startedAt)) / 1e6,
            endedAt: Number(nanoseconds(span.endedAt)) / 1e6,
            attributes: sentAttributes(span.attributes),
            isError: span.isError,
            flags: 0x101 + remote,
            resource: RESOURCE,
            scope: SCOPE,
          });
        }
      }),
    );
  });

  it('has times to the nanosecond', () => {
    const bytes = (startedAt: number) => {
      const encoder = newEncoder();
      encoder.add({ ...SPAN, startedAt });
      return Buffer.from(encoder.take());
    };
    for (const time of [0, 0.000001, 1_700_000_000_999.75, 2 ** 32, 2 ** 44 - 1]) {
      const expected = Buffer.alloc(9, 0x39);
      expected.writeBigUInt64LE(nanoseconds(time), 1);
      expect(bytes(time).includes(expected)).toBe(true);
    }
  });

  it('has one type for each attribute: a double is one where it is whole too', () => {
    const typesOf = (value: number) => {
      const encoder = newEncoder();
      encoder.add({ ...SPAN, attributes: { double: value } });
      return Buffer.from(encoder.take()).includes(Buffer.from([0x12, 9, 0x21]));
    };
    expect([0, 1, 0.5, -0].map(typesOf)).toEqual([true, true, true, true]);
    expect(decoded({ attributes: { double: 1, other: 1 } })[0]?.attributes).toEqual({ double: 1, other: 1 });
  });

  it('begins empty after one that was taken', () => {
    const encoder = newEncoder();
    encoder.add(SPAN);
    encoder.add({ ...SPAN, attributes: { text: 'x'.repeat(3_000_000) } });
    expect(encoder.spans).toBe(2);
    expect(decodeExport(Buffer.from(encoder.take()))).toHaveLength(2);
    expect([encoder.spans, encoder.bytes]).toEqual([0, 0]);
    encoder.add({ ...SPAN, name: 'next' });
    expect(decodeExport(Buffer.from(encoder.take()))).toMatchObject([{ name: 'next', resource: RESOURCE }]);
  });
});
