/** Exports are read with the classes that OpenTelemetry publishes (PyPI: opentelemetry-proto), where LLM_TEST_PYTHONPATH has them. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SpanEncoder } from '../../../src/telemetry/otlp-encoding.ts';
import type { SpanAttributes, SpanData } from '../../../src/telemetry/request-spans.ts';
import { anySpan, asSent, nanoseconds } from '../../support/any-span.ts';

const READER = fileURLToPath(new URL('../../support/otlp_spans.py', import.meta.url));
const FOLDER = process.env.LLM_TEST_PYTHONPATH;
const isThere = FOLDER !== undefined && existsSync(join(FOLDER, 'opentelemetry', 'proto'));
const EXPORTS = 200;
const DOUBLES: ReadonlySet<string> = new Set(['temperature']);
const KINDS = { server: 'SPAN_KIND_SERVER', client: 'SPAN_KIND_CLIENT', internal: 'SPAN_KIND_INTERNAL' };

function typed(name: string, value: SpanAttributes[string]): readonly [string, unknown] {
  if (typeof value === 'string') return ['string', asSent(value)];
  if (typeof value === 'boolean') return ['bool', value ? 'True' : 'False'];
  if (typeof value === 'object') return ['list', value.map((text) => ['string', asSent(text)])];
  if (Number.isSafeInteger(value) && !DOUBLES.has(name)) return ['int', String(value)];
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return ['double', bytes.toString('hex')];
}

function received(span: SpanData) {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    tracestate: asSent(span.tracestate ?? ''),
    name: asSent(span.name),
    kind: KINDS[span.kind],
    startedAt: String(nanoseconds(span.startedAt)),
    endedAt: String(nanoseconds(span.endedAt)),
    attributes: Object.entries(span.attributes).map(([name, value]) => [asSent(name), typed(name, value)]),
    status: span.isError ? 'STATUS_CODE_ERROR' : 'STATUS_CODE_UNSET',
    flags: span.isParentRemote ? 0x301 : 0x101,
  };
}

it.skipIf(!isThere)(
  `OpenTelemetry’s own classes read the spans that were added${isThere ? '' : ' (skipped: LLM_TEST_PYTHONPATH has no opentelemetry-proto)'}`,
  () => {
    const whole: SpanData[] = fc.sample(anySpan, { numRuns: 20, seed: 5 }).map((span) => ({
      ...span,
      attributes: { ...span.attributes, temperature: 1 },
    }));
    const exports = [
      ...fc.sample(fc.array(anySpan, { minLength: 1, maxLength: 5 }), { numRuns: EXPORTS, seed: 4 }),
      whole,
    ];
    const encoder = new SpanEncoder({
      resource: { 'service.name': 'müller' },
      scope: { name: 'llm-serve', version: '1.2.3' },
      doubles: DOUBLES,
    });
    const input = exports.map((spans) => {
      for (const span of spans) encoder.add(span);
      return Buffer.from(encoder.take()).toString('base64');
    });
    const { PATH = '' } = process.env;
    const { stdout, stderr, status } = spawnSync('python3', [READER], {
      env: { PATH, PYTHONPATH: FOLDER, PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' },
      input: `${input.join('\n')}\n`,
      encoding: 'utf8',
      maxBuffer: 100_000_000,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(exports.length);
    for (const [index, line] of lines.entries())
      expect(JSON.parse(line)).toEqual({
        resource: [['service.name', ['string', 'müller']]],
        scope: ['llm-serve', '1.2.3'],
        spans: exports[index]?.map(received),
      });
  },
);
