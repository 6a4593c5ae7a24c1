/** The values of a GGUF header. Long strings and the elements of arrays are passed over: nobody asks for them. */
import type { ByteCursor } from './byte-cursor.ts';

export type MetadataValue = string | number | bigint | boolean | ArrayOfValues | LongText;

export interface ArrayOfValues {
  readonly elements: number;
}

export interface LongText {
  readonly textBytes: number;
}

const STRING = 8;
const ARRAY = 9;
const LONGEST_KEPT_TEXT_BYTES = 1 << 20;
const DEEPEST_ARRAY = 4;

/** By type: how many bytes, and how they are read. */
const NUMBERS: Readonly<Record<number, readonly [number, (bytes: Buffer) => number | bigint | boolean]>> = {
  0: [1, (bytes) => bytes.readUInt8()],
  1: [1, (bytes) => bytes.readInt8()],
  2: [2, (bytes) => bytes.readUInt16LE()],
  3: [2, (bytes) => bytes.readInt16LE()],
  4: [4, (bytes) => bytes.readUInt32LE()],
  5: [4, (bytes) => bytes.readInt32LE()],
  6: [4, (bytes) => bytes.readFloatLE()],
  7: [1, (bytes) => bytes.readUInt8() !== 0],
  10: [8, (bytes) => bytes.readBigUInt64LE()],
  11: [8, (bytes) => bytes.readBigInt64LE()],
  12: [8, (bytes) => bytes.readDoubleLE()],
};

export async function readValue(cursor: ByteCursor, type: number): Promise<MetadataValue> {
  if (type === ARRAY) return { elements: await skipArray(cursor, 1) };
  if (type === STRING) {
    const start = cursor.position;
    return (await readString(cursor, LONGEST_KEPT_TEXT_BYTES)) ?? { textBytes: cursor.position - start - 8 };
  }
  const [bytes, read] = numberOf(type);
  await cursor.need(bytes);
  return read(cursor.take(bytes));
}

/** Undefined, and passed over, where it is longer than `longestBytes`. */
export async function readString(cursor: ByteCursor, longestBytes: number): Promise<string | undefined> {
  const length = await readLength(cursor);
  if (length > longestBytes) {
    cursor.skip(length);
    return undefined;
  }
  await cursor.need(length);
  return cursor.take(length).toString('utf8');
}

/** The number of elements that were passed over. */
async function skipArray(cursor: ByteCursor, depth: number): Promise<number> {
  if (depth > DEEPEST_ARRAY) throw new RangeError('it has arrays in arrays in arrays');
  const type = await cursor.uint32();
  const count = await cursor.uint64();
  const elementBytes = type === STRING ? 8 : type === ARRAY ? 12 : numberOf(type)[0];
  if (count > BigInt(Math.floor(cursor.leftBytes / elementBytes))) {
    throw new RangeError(`it claims an array of ${count} elements, more than it has room for`);
  }
  const elements = Number(count);
  if (type === STRING) await skipStrings(cursor, elements);
  else if (type === ARRAY) for (let i = 0; i < elements; i += 1) await skipArray(cursor, depth + 1);
  else cursor.skip(elements * elementBytes);
  return elements;
}

/** A vocabulary has a hundred thousand: those that are at hand are passed over without waiting. */
async function skipStrings(cursor: ByteCursor, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    if (cursor.atHandBytes < 8) await cursor.need(8);
    cursor.skip(lengthWithin(cursor, cursor.take(8).readBigUInt64LE()));
  }
}

async function readLength(cursor: ByteCursor): Promise<number> {
  return lengthWithin(cursor, await cursor.uint64());
}

function lengthWithin(cursor: ByteCursor, length: bigint): number {
  if (length <= BigInt(cursor.leftBytes)) return Number(length);
  throw new RangeError(`it claims a text of ${length} bytes at byte ${cursor.position}, beyond its end`);
}

function numberOf(type: number): readonly [number, (bytes: Buffer) => number | bigint | boolean] {
  const found = NUMBERS[type];
  if (found === undefined) throw new RangeError(`it has a value of the unknown type ${type}`);
  return found;
}
