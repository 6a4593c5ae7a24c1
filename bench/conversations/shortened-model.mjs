// A model file with the first layers of another: it tokenizes the same and runs in the same slots, many times faster. What it answers
// makes no sense, which does not matter where only tokens are counted.
import { readFileSync, writeFileSync } from 'node:fs';

const MAGIC = 'GGUF';
const ALIGNMENT = 32;
const TYPE_STRING = 8;
const TYPE_ARRAY = 9;
/** By type of value: bytes, where they are fixed. */
const SIZES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

/** Writes `target` with the first `layers` layers of `source`. */
export function writeShortenedModel({ source, target, layers }) {
  const bytes = Buffer.from(readFileSync(source));
  if (bytes.toString('latin1', 0, 4) !== MAGIC) throw new Error(`${source} is no GGUF file`);
  let at = 8;
  const small = () => {
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const number = () => {
    at += 8;
    return Number(bytes.readBigUInt64LE(at - 8));
  };
  const text = () => {
    const length = number();
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const skipValue = (type) => {
    if (type === TYPE_STRING) text();
    else if (type === TYPE_ARRAY) {
      const itemType = small();
      for (let left = number(); left > 0; left -= 1) skipValue(itemType);
    } else at += SIZES[type];
  };
  const tensorCount = number();
  const keyCount = number();
  const keysFrom = at;
  for (let left = keyCount; left > 0; left -= 1) {
    const key = text();
    const type = small();
    if (key.endsWith('.block_count')) bytes.writeUInt32LE(layers, at);
    skipValue(type);
  }
  const keys = bytes.subarray(keysFrom, at);
  const tensors = Array.from({ length: tensorCount }, () => {
    const from = at;
    const name = text();
    const dimensions = small();
    at += dimensions * 8 + 4;
    const offset = number();
    return { name, info: Buffer.from(bytes.subarray(from, at)), offset };
  });
  const dataFrom = aligned(at);
  const ends = [...tensors.map(({ offset }) => offset), bytes.length - dataFrom].sort((a, b) => a - b);
  const kept = tensors.filter(({ name }) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0) < layers);
  let offset = 0;
  const data = kept.map((tensor) => {
    const end = ends.find((each) => each > tensor.offset);
    const part = bytes.subarray(dataFrom + tensor.offset, dataFrom + end);
    tensor.info.writeBigUInt64LE(BigInt(offset), tensor.info.length - 8);
    offset = aligned(offset + part.length);
    return Buffer.concat([part, Buffer.alloc(aligned(part.length) - part.length)]);
  });
  const head = Buffer.alloc(24);
  bytes.copy(head, 0, 0, 8);
  head.writeBigUInt64LE(BigInt(kept.length), 8);
  head.writeBigUInt64LE(BigInt(keyCount), 16);
  const upToData = Buffer.concat([head, keys, ...kept.map(({ info }) => info)]);
  const padding = Buffer.alloc(aligned(upToData.length) - upToData.length);
  writeFileSync(target, Buffer.concat([upToData, padding, ...data]));
}

function aligned(length) {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
