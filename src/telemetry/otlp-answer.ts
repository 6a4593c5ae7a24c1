/** The answer to an export that was accepted: an ExportTraceServiceResponse in protobuf. Pure. */

/** The part of an export that was not taken. */
export interface Refused {
  /** 0: all were taken, and the message is a warning. */
  readonly spans: number;
  readonly message: string;
}

const PARTIAL_SUCCESS = 1;
const REJECTED_SPANS = 1;
const ERROR_MESSAGE = 2;

/** Undefined where nothing was refused, and where the answer is no such message: the status has said that the export was accepted. */
export function readRefused(answer: Buffer): Refused | undefined {
  try {
    const partial = fieldsOf(answer).get(PARTIAL_SUCCESS);
    if (!Buffer.isBuffer(partial)) return undefined;
    const fields = fieldsOf(partial);
    const rejected = fields.get(REJECTED_SPANS);
    const message = fields.get(ERROR_MESSAGE);
    const spans = typeof rejected === 'number' ? rejected : 0;
    const text = Buffer.isBuffer(message) ? message.toString('utf8') : '';
    return spans === 0 && text === '' ? undefined : { spans, message: text };
  } catch {
    return undefined;
  }
}

/** The last value of each field: a number, or the bytes of a message or text. Throws RangeError where the bytes end too early. */
function fieldsOf(bytes: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const take = (length: number) => {
    if (at + length > bytes.length) throw new RangeError('a field is longer than its message');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at);
      at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const readers = [varint, () => take(8), () => take(varint()), undefined, undefined, () => take(4)];
  while (at < bytes.length) {
    const tag = varint();
    const read = readers[tag % 8];
    if (read === undefined) throw new RangeError('not a wire type');
    fields.set(Math.floor(tag / 8), read());
  }
  return fields;
}
