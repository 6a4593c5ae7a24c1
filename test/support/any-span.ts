/** Spans of every kind for properties of their encoding, and what a receiver gets of their texts and times. */
import fc from 'fast-check';
import type { SpanAttributes, SpanData } from '../../src/telemetry/request-spans.ts';

const texts = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.string({ maxLength: 400 }),
  // Half a pair, alone and within.
  fc.tuple(fc.string(), fc.string()).map(([before, after]) => `${before}\ud83d${after}`),
  fc.integer({ min: 120, max: 135 }).map((length) => 'x'.repeat(length)),
  fc.integer({ min: 16_370, max: 16_390 }).map((length) => 'ü'.repeat(length / 2)),
);
const numbers = fc.oneof(
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(0, -1, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), 2 ** 53, 1e300, -5e-324),
);
const values: fc.Arbitrary<SpanAttributes[string]> = fc.oneof(
  texts,
  numbers,
  fc.boolean(),
  fc.array(texts, { maxLength: 4 }),
);
const ids = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });
/** Up to the year 2527: 2^64 nanoseconds end in 2554. */
const times = fc.double({ min: 0, max: 2 ** 44 - 1, noNaN: true });
export const anySpan: fc.Arbitrary<SpanData> = fc.record({
  name: texts,
  kind: fc.constantFrom('server', 'client', 'internal'),
  traceId: ids(32),
  tracestate: fc.option(texts, { nil: undefined }),
  spanId: ids(16),
  parentSpanId: fc.option(ids(16), { nil: undefined }),
  isParentRemote: fc.boolean(),
  startedAt: times,
  endedAt: times,
  attributes: fc.dictionary(texts, values, { maxKeys: 8, noNullPrototype: true }),
  isError: fc.boolean(),
  contentLength: fc.constant(0),
});

/** UTF-8 has no half of a surrogate pair. */
export const asSent = (text: string) => text.toWellFormed();

export function nanoseconds(milliseconds: number): bigint {
  const whole = Math.floor(milliseconds);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((milliseconds - whole) * 1e6));
}
