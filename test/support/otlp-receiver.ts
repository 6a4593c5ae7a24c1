/**
 * A receiver of traces: OTLP over HTTP, decoded by the field numbers of the official opentelemetry/proto files (trace/v1/trace.proto,
 * common/v1/common.proto, resource/v1/resource.proto of release 1.9), independently of the code that encodes.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { vi } from 'vitest';
import type { EndsWith } from './server.ts';
import type { ShownSpan } from './span-tree.ts';

export interface ReceivedSpan extends ShownSpan {
  readonly traceId: string;
  readonly tracestate: string;
  readonly flags: number;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: { readonly name: string; readonly version: string };
}

export interface OtlpReceiver {
  /** Base address. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Of each export. */
  readonly headers: readonly IncomingHttpHeaders[];
  readonly paths: readonly string[];
  /** What the next exports are answered with. */
  status: number;
  /** Waits until so many have come. */
  received(spans: number): Promise<readonly ReceivedSpan[]>;
}

/** An export that comes once a second is late on a busy machine. */
const RECEIVED_WITHIN_MS = 120_000;

export async function startOtlpReceiver(endsWith: EndsWith): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const paths: string[] = [];
  const receiver = { status: 200 };
  let unreadable: Error | undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      headers.push(request.headers);
      paths.push(request.url ?? '');
      try {
        if (receiver.status === 200)
          spans.push(
            ...decodeExport(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body),
          );
      } catch (thrown) {
        unreadable = thrown as Error;
      }
      response.writeHead(receiver.status, { 'content-type': 'application/x-protobuf' });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endsWith(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    headers,
    paths,
    received: async (count: number) => {
      await vi.waitFor(
        () => {
          if (unreadable !== undefined) throw unreadable;
          if (spans.length < count) throw new Error(`${spans.length} of ${count} spans have come`);
        },
        { timeout: RECEIVED_WITHIN_MS, interval: 20 },
      );
      return spans;
    },
  });
}

type Decode = (field: Field) => unknown;

interface Field {
  readonly bytes: Buffer;
  /** Of a varint. */
  readonly number: bigint;
}

const text: Decode = ({ bytes }) => bytes.toString('utf8');
const hex: Decode = ({ bytes }) => bytes.toString('hex');
const integer: Decode = ({ number }) => Number(BigInt.asIntN(64, number));
const truth: Decode = ({ number }) => number !== 0n;
const double: Decode = ({ bytes }) => bytes.readDoubleLE();
const fixed32: Decode = ({ bytes }) => bytes.readUInt32LE();
const fixed64: Decode = ({ bytes }) => bytes.readBigUInt64LE();

interface Schema {
  readonly [field: number]: {
    readonly name: string;
    readonly decode: Decode;
    readonly repeated?: true;
  };
}

const message =
  (schema: Schema): Decode =>
  ({ bytes }) =>
    decodeMessage(bytes, schema);

const ANY_VALUE: Schema = {
  1: { name: 'value', decode: text },
  2: { name: 'value', decode: truth },
  3: { name: 'value', decode: integer },
  4: { name: 'value', decode: double },
  5: {
    name: 'value',
    decode: ({ bytes }) => {
      const values: Schema = { 1: { name: 'values', decode: message(ANY_VALUE), repeated: true } };
      const { values: found = [] } = decodeMessage(bytes, values);
      return (found as { value: unknown }[]).map(({ value }) => value);
    },
  },
};

const KEY_VALUE: Schema = {
  1: { name: 'key', decode: text },
  2: { name: 'value', decode: message(ANY_VALUE) },
};

const attributes = { name: 'attributes', decode: message(KEY_VALUE), repeated: true } as const;

const STATUS: Schema = { 2: { name: 'message', decode: text }, 3: { name: 'code', decode: integer } };

const SPAN: Schema = {
  1: { name: 'traceId', decode: hex },
  2: { name: 'spanId', decode: hex },
  3: { name: 'tracestate', decode: text },
  4: { name: 'parentSpanId', decode: hex },
  5: { name: 'name', decode: text },
  6: { name: 'kind', decode: integer },
  7: { name: 'start', decode: fixed64 },
  8: { name: 'end', decode: fixed64 },
  9: attributes,
  10: { name: 'droppedAttributes', decode: integer },
  12: { name: 'droppedEvents', decode: integer },
  14: { name: 'droppedLinks', decode: integer },
  15: { name: 'status', decode: message(STATUS) },
  16: { name: 'flags', decode: fixed32 },
};

const SCOPE_SPANS: Schema = {
  1: {
    name: 'scope',
    decode: message({
      1: { name: 'name', decode: text },
      2: { name: 'version', decode: text },
      3: attributes,
      4: { name: 'droppedAttributes', decode: integer },
    }),
  },
  2: { name: 'spans', decode: message(SPAN), repeated: true },
  3: { name: 'schemaUrl', decode: text },
};

const RESOURCE: Schema = { 1: attributes, 2: { name: 'droppedAttributes', decode: integer } };

const RESOURCE_SPANS: Schema = {
  1: { name: 'resource', decode: message(RESOURCE) },
  2: { name: 'scopeSpans', decode: message(SCOPE_SPANS), repeated: true },
  3: { name: 'schemaUrl', decode: text },
};

const EXPORT: Schema = { 1: { name: 'resourceSpans', decode: message(RESOURCE_SPANS), repeated: true } };

/** Throws for a field that the schema does not know: every byte that is sent has a meaning here. */
function decodeMessage(bytes: Buffer, schema: Schema): Record<string, unknown> {
  const decoded: Record<string, unknown> = {};
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at);
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error('a field is longer than its message');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const wireTypes: Readonly<Record<number, () => Field>> = {
    0: () => ({ bytes: Buffer.alloc(0), number: varint() }),
    1: () => ({ bytes: take(8), number: 0n }),
    2: () => ({ bytes: take(Number(varint())), number: 0n }),
    5: () => ({ bytes: take(4), number: 0n }),
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const field = schema[tag >> 3];
    const read = wireTypes[tag & 7];
    if (field === undefined || read === undefined)
      throw new Error(`unknown field ${tag >> 3} of type ${tag & 7}`);
    const value = field.decode(read());
    if (field.repeated) decoded[field.name] = [...((decoded[field.name] as unknown[]) ?? []), value];
    else decoded[field.name] = value;
  }
  return decoded;
}

interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly tracestate?: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes?: readonly KeyValue[];
  readonly status?: { readonly code?: number };
  readonly flags: number;
}

interface KeyValue {
  readonly key: string;
  readonly value: { readonly value: unknown };
}

interface DecodedExport {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly scope: ReceivedSpan['scope'];
      readonly spans: readonly DecodedSpan[];
    }[];
  }[];
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const ERROR = 2;

export function decodeExport(body: Buffer): ReceivedSpan[] {
  const { resourceSpans } = decodeMessage(body, EXPORT) as unknown as DecodedExport;
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        name: span.name,
        kind: KINDS[span.kind] ?? String(span.kind),
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId,
        tracestate: span.tracestate ?? '',
        startedAt: Number(span.start) / 1e6,
        endedAt: Number(span.end) / 1e6,
        attributes: pairsOf(span.attributes),
        isError: span.status?.code === ERROR,
        flags: span.flags,
        resource: pairsOf(resource.attributes),
        scope,
      })),
    ),
  );
}

function pairsOf(pairs: readonly KeyValue[] = []): Readonly<Record<string, unknown>> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value.value]));
}
