/**
 * Spans → the body of an OTLP export, an ExportTraceServiceRequest in protobuf. Pure. A span is encoded as soon as it is there, and not
 * held as an object; what is the same in every export (resource, scope, names of attributes) is encoded once. The messages and numbers
 * are those of opentelemetry/proto 1.9, in collector/trace/v1, trace/v1, common/v1 and resource/v1. Why by hand: decision 0076.
 */
import {
  FIXED32,
  FIXED64,
  LENGTH,
  MAX_VARINT_BYTES,
  ProtobufWriter,
  roomForText,
  tag,
  VARINT,
  varintBytes,
} from './protobuf-writer.ts';
import type { SpanAttributes, SpanData } from './request-spans.ts';

const EXPORT = { resourceSpans: tag(1, LENGTH) };
const RESOURCE_SPANS = { resource: tag(1, LENGTH), scopeSpans: tag(2, LENGTH) };
const RESOURCE = { attributes: tag(1, LENGTH) };
const SCOPE_SPANS = { scope: tag(1, LENGTH), spans: tag(2, LENGTH) };
const SCOPE = { name: tag(1, LENGTH), version: tag(2, LENGTH) };
const SPAN = {
  traceId: tag(1, LENGTH),
  spanId: tag(2, LENGTH),
  traceState: tag(3, LENGTH),
  parentSpanId: tag(4, LENGTH),
  name: tag(5, LENGTH),
  kind: tag(6, VARINT),
  startTime: tag(7, FIXED64),
  endTime: tag(8, FIXED64),
  attributes: tag(9, LENGTH),
  status: tag(15, LENGTH),
  flags: tag(16, FIXED32),
};
const STATUS = { code: tag(3, VARINT) };
const KEY_VALUE = { key: tag(1, LENGTH), value: tag(2, LENGTH) };
const ANY_VALUE = {
  text: tag(1, LENGTH),
  truth: tag(2, VARINT),
  integer: tag(3, VARINT),
  double: tag(4, FIXED64),
  list: tag(5, LENGTH),
};
const LIST = { values: tag(1, LENGTH) };

const KINDS: Readonly<Record<SpanData['kind'], number>> = { internal: 1, server: 2, client: 3 };
const STATUS_ERROR = 2;
/** The lowest byte of the flags is that of the W3C; then: whether the next bit has a meaning, and whether the parent is of another process. */
const SAMPLED = 0x001;
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** Most spans have 128 to 16,383 bytes. */
const SPAN_LENGTH_BYTES = 2;
/** More than the fields of fixed size take: of a span, and of an attribute or an element of a list. */
const ROOM_FOR_SPAN = 128;
const ROOM_FOR_VALUE = 32;

export interface EncoderOptions {
  /** Attributes of this process. */
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: { readonly name: string; readonly version: string };
  /** Attributes whose numbers are doubles even where they are whole: for receivers an attribute has one type. */
  readonly doubles: ReadonlySet<string>;
}

/** Collects spans; makes one export after the other of them. */
export class SpanEncoder {
  readonly #names: AttributeNames;
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;
  readonly #writer = new ProtobufWriter();
  #spans = 0;

  constructor({ resource, scope, doubles }: EncoderOptions) {
    this.#names = new AttributeNames(doubles);
    this.#resource = encodeResource(resource, this.#names);
    this.#scope = encodeScope(scope);
    this.#spans = 0;
  }

  /** Since the last `take`. */
  get spans(): number {
    return this.#spans;
  }

  /** Of these spans. */
  get bytes(): number {
    return this.#writer.length;
  }

  add(span: SpanData): void {
    const writer = this.#writer;
    const { name, tracestate, parentSpanId } = span;
    writer.reserve(ROOM_FOR_SPAN + roomForText(name) + roomForText(tracestate ?? ''));
    writer.byte(SCOPE_SPANS.spans);
    const start = writer.begin(SPAN_LENGTH_BYTES);
    writer.byte(SPAN.traceId);
    writer.hexadecimal(span.traceId);
    writer.byte(SPAN.spanId);
    writer.hexadecimal(span.spanId);
    if (tracestate !== undefined) {
      writer.byte(SPAN.traceState);
      writer.text(tracestate);
    }
    if (parentSpanId !== undefined) {
      writer.byte(SPAN.parentSpanId);
      writer.hexadecimal(parentSpanId);
    }
    writer.byte(SPAN.name);
    writer.text(name);
    writer.byte(SPAN.kind);
    writer.byte(KINDS[span.kind]);
    writer.byte(SPAN.startTime);
    writer.nanoseconds(span.startedAt);
    writer.byte(SPAN.endTime);
    writer.nanoseconds(span.endedAt);
    if (span.isError) {
      writer.byte(SPAN.status);
      const status = writer.begin();
      writer.byte(STATUS.code);
      writer.byte(STATUS_ERROR);
      writer.end(status);
    }
    writer.varint(SPAN.flags);
    writer.fixed32(SAMPLED | HAS_IS_REMOTE | (span.isParentRemote ? IS_REMOTE : 0));
    writeAttributes(writer, SPAN.attributes, { attributes: span.attributes, names: this.#names });
    writer.end(start, SPAN_LENGTH_BYTES);
    this.#spans += 1;
  }

  /** All spans that were added since, with what is around them. */
  take(): Uint8Array {
    const spans = this.#writer.written();
    const scopeSpansBytes = this.#scope.length + spans.length;
    const resourceSpansBytes = this.#resource.length + 1 + varintBytes(scopeSpansBytes) + scopeSpansBytes;
    const writer = new ProtobufWriter(1 + MAX_VARINT_BYTES + resourceSpansBytes);
    writer.byte(EXPORT.resourceSpans);
    writer.varint(resourceSpansBytes);
    writer.bytes(this.#resource);
    writer.byte(RESOURCE_SPANS.scopeSpans);
    writer.varint(scopeSpansBytes);
    writer.bytes(this.#scope);
    writer.bytes(spans);
    this.#writer.clear();
    this.#spans = 0;
    return writer.written();
  }
}

/** With its tag. */
function encodeResource(attributes: EncoderOptions['resource'], names: AttributeNames): Uint8Array {
  const writer = new ProtobufWriter();
  writer.byte(RESOURCE_SPANS.resource);
  const start = writer.begin();
  writeAttributes(writer, RESOURCE.attributes, { attributes, names });
  writer.end(start);
  return writer.written();
}

/** With its tag. */
function encodeScope({ name, version }: EncoderOptions['scope']): Uint8Array {
  const writer = new ProtobufWriter();
  writer.reserve(ROOM_FOR_VALUE + roomForText(name) + roomForText(version));
  writer.byte(SCOPE_SPANS.scope);
  const start = writer.begin();
  writer.byte(SCOPE.name);
  writer.text(name);
  writer.byte(SCOPE.version);
  writer.text(version);
  writer.end(start);
  return writer.written();
}

interface AttributeName {
  /** A KeyValue's key, and the tag of its value. */
  readonly encoded: Uint8Array;
  readonly isDouble: boolean;
}

/** The names of attributes, as they are written. They are this program's own, so there are few. */
class AttributeNames {
  readonly #known = new Map<string, AttributeName>();
  readonly #doubles: ReadonlySet<string>;

  constructor(doubles: ReadonlySet<string>) {
    this.#doubles = doubles;
  }

  get(name: string): AttributeName {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const writer = new ProtobufWriter(ROOM_FOR_VALUE + roomForText(name));
    writer.byte(KEY_VALUE.key);
    writer.text(name);
    writer.byte(KEY_VALUE.value);
    const added = { encoded: writer.written(), isDouble: this.#doubles.has(name) };
    this.#known.set(name, added);
    return added;
  }
}

function writeAttributes(
  writer: ProtobufWriter,
  field: number,
  of: { readonly attributes: SpanAttributes; readonly names: AttributeNames },
): void {
  const { attributes, names } = of;
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    const { encoded, isDouble } = names.get(name);
    writer.reserve(ROOM_FOR_VALUE + encoded.length);
    writer.byte(field);
    const start = writer.begin();
    writer.bytes(encoded);
    const valueStart = writer.begin();
    writeValue(writer, value, isDouble);
    writer.end(valueStart);
    writer.end(start);
  }
}

/** The fields of an AnyValue. */
function writeValue(writer: ProtobufWriter, value: SpanAttributes[string], isDouble: boolean): void {
  switch (typeof value) {
    case 'string':
      writer.reserve(ROOM_FOR_VALUE + roomForText(value));
      writer.byte(ANY_VALUE.text);
      writer.text(value);
      return;
    case 'number':
      if (isDouble || !Number.isSafeInteger(value)) {
        writer.byte(ANY_VALUE.double);
        writer.double(value);
        return;
      }
      writer.byte(ANY_VALUE.integer);
      writer.integer(value);
      return;
    case 'boolean':
      writer.byte(ANY_VALUE.truth);
      writer.byte(value ? 1 : 0);
      return;
    default:
      writeList(writer, value);
  }
}

function writeList(writer: ProtobufWriter, values: readonly string[]): void {
  writer.byte(ANY_VALUE.list);
  const start = writer.begin();
  for (const value of values) {
    writer.reserve(ROOM_FOR_VALUE);
    writer.byte(LIST.values);
    const valueStart = writer.begin();
    writeValue(writer, value, false);
    writer.end(valueStart);
  }
  writer.end(start);
}
