/**
 * The header of a GGUF file (versions 2 and 3, little-endian): its metadata, and where its tensors lie. Reads only the
 * header, skips long strings and arrays, and trusts no length that the file has no room for.
 * The layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

import { type FileHandle, open } from 'node:fs/promises';

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: TensorSummary;
  readonly sizeBytes: number;
}

/** What is wrong with a file, as the rest of a sentence: "is empty", "is truncated: …". */
export class GgufError extends Error {}

const MAGIC = 'GGUF';
const VERSIONS = [2, 3];
/** A key with its length, the type of its value, and a value of one byte. */
const MIN_ENTRY_BYTES = 8 + 4 + 1;
const DEFAULT_ALIGNMENT = 32;
const MAX_KEY_BYTES = 65_535;

/** Throws GgufError, or the file system's error where it cannot be read. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path);
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw new GgufError('is a folder, not a file');
    if (!found.isFile()) throw new GgufError('is not a file');
    if (found.size === 0) throw new GgufError('is empty (0 bytes)');
    return await readHeader(new ByteCursor(file, found.size));
  } catch (error) {
    if (error instanceof TruncatedError) {
      throw new GgufError(`is truncated: its header does not end within its ${error.atByte} bytes`);
    }
    if (error instanceof RangeError) throw new GgufError(`is damaged: ${error.message}`);
    throw error;
  } finally {
    await file.close();
  }
}

async function readHeader(cursor: ByteCursor): Promise<GgufHeader> {
  if (cursor.sizeBytes < MAGIC.length) throw new GgufError('is not a GGUF file');
  await cursor.need(MAGIC.length);
  if (cursor.take(MAGIC.length).toString('latin1') !== MAGIC) throw new GgufError('is not a GGUF file');
  const version = await cursor.uint32();
  if (!VERSIONS.includes(version)) throw new GgufError(versionReason(version));
  const tensorCount = await cursor.uint64();
  const metadata = await readMetadata(cursor, await cursor.uint64());
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || alignment < 1) throw new RangeError('its alignment is not a number');
  const tensors = await readTensors(cursor, { count: tensorCount, alignment });
  if (tensors.endByte > cursor.sizeBytes) {
    throw new GgufError(
      `is truncated: it has ${cursor.sizeBytes} bytes where its tensors need ${tensors.endByte}`,
    );
  }
  return { version, metadata, tensors, sizeBytes: cursor.sizeBytes };
}

async function readMetadata(cursor: ByteCursor, count: bigint): Promise<Map<string, MetadataValue>> {
  if (count > BigInt(Math.floor(cursor.remainingBytes / MIN_ENTRY_BYTES))) {
    throw new RangeError(`it declares ${count} metadata entries, more than it has room for`);
  }
  const metadata = new Map<string, MetadataValue>();
  for (let left = count; left > 0n; left -= 1n) {
    const key = await readString(cursor, MAX_KEY_BYTES);
    if (key === undefined) throw new RangeError('the name of a metadata entry is too long');
    metadata.set(key, await readValue(cursor, await cursor.uint32()));
  }
  return metadata;
}

function versionReason(version: number): string {
  const swapped = Buffer.alloc(4);
  swapped.writeUInt32BE(version);
  if (VERSIONS.includes(swapped.readUInt32LE())) return 'is a big-endian GGUF file, made for other machines';
  return `has GGUF version ${version}, and only ${VERSIONS.join(' and ')} are supported`;
}

type MetadataValue = string | number | bigint | boolean | ArraySummary | LongTextSummary;

interface ArraySummary {
  readonly elements: number;
}

interface LongTextSummary {
  readonly textBytes: number;
}

const STRING = 8;
const ARRAY = 9;
const MAX_KEPT_TEXT_BYTES = 1 << 20;
const MAX_ARRAY_DEPTH = 4;

/** By type: size in bytes, and reader. */
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

async function readValue(cursor: ByteCursor, type: number): Promise<MetadataValue> {
  if (type === ARRAY) return { elements: await skipArray(cursor, 1) };
  if (type === STRING) {
    const start = cursor.position;
    return (await readString(cursor, MAX_KEPT_TEXT_BYTES)) ?? { textBytes: cursor.position - start - 8 };
  }
  const [bytes, read] = numberOf(type);
  await cursor.need(bytes);
  return read(cursor.take(bytes));
}

/** Undefined, and skipped, where it is longer than `maxBytes`. */
async function readString(cursor: ByteCursor, maxBytes: number): Promise<string | undefined> {
  const length = await readLength(cursor);
  if (length > maxBytes) {
    cursor.skip(length);
    return undefined;
  }
  await cursor.need(length);
  return cursor.take(length).toString('utf8');
}

/** Returns the number of elements. */
async function skipArray(cursor: ByteCursor, depth: number): Promise<number> {
  if (depth > MAX_ARRAY_DEPTH) throw new RangeError('its arrays are nested too deep');
  const type = await cursor.uint32();
  const count = await cursor.uint64();
  const elementBytes = type === STRING ? 8 : type === ARRAY ? 12 : numberOf(type)[0];
  if (count > BigInt(Math.floor(cursor.remainingBytes / elementBytes))) {
    throw new RangeError(`it declares an array of ${count} elements, more than it has room for`);
  }
  const elements = Number(count);
  if (type === STRING) await skipStrings(cursor, elements);
  else if (type === ARRAY) for (let i = 0; i < elements; i += 1) await skipArray(cursor, depth + 1);
  else cursor.skip(elements * elementBytes);
  return elements;
}

/** A vocabulary has a hundred thousand: buffered ones are skipped without waiting. */
async function skipStrings(cursor: ByteCursor, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    if (cursor.bufferedBytes < 8) await cursor.need(8);
    cursor.skip(lengthWithin(cursor, cursor.take(8).readBigUInt64LE()));
  }
}

async function readLength(cursor: ByteCursor): Promise<number> {
  return lengthWithin(cursor, await cursor.uint64());
}

function lengthWithin(cursor: ByteCursor, length: bigint): number {
  if (length <= BigInt(cursor.remainingBytes)) return Number(length);
  throw new RangeError(`it declares a string of ${length} bytes at byte ${cursor.position}, beyond its end`);
}

function numberOf(type: number): readonly [number, (bytes: Buffer) => number | bigint | boolean] {
  const found = NUMBERS[type];
  if (found === undefined) throw new RangeError(`it has a value of unknown type ${type}`);
  return found;
}

interface TensorSummary {
  readonly count: number;
  /** The model's parameters: the elements of all tensors. */
  readonly parameters: number;
  /** End of the last tensor in the file. */
  readonly endByte: number;
}

/** A name's length, the number of dimensions, the type, the offset. */
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8;
const MAX_NAME_BYTES = 1024;
const MAX_DIMENSIONS = 8;

/** Bytes of a block by ggml type, for each block size. */
const BLOCKS: readonly (readonly [elements: number, bytes: Readonly<Record<number, number>>])[] = [
  [1, { 0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2 }],
  [32, { 2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 9: 36, 20: 18, 39: 17 }],
  [256, { 10: 84, 11: 110, 12: 144, 13: 176, 14: 210, 15: 292, 16: 66, 17: 74, 18: 98, 19: 50 }],
  [256, { 21: 110, 22: 82, 23: 136, 29: 56, 34: 54, 35: 66 }],
];

async function readTensors(
  cursor: ByteCursor,
  { count, alignment }: { readonly count: bigint; readonly alignment: number },
): Promise<TensorSummary> {
  if (count > BigInt(Math.floor(cursor.remainingBytes / MIN_TENSOR_BYTES))) {
    throw new RangeError(`it declares ${count} tensors, more than it has room for`);
  }
  let parameters = 0;
  let reachesTo = 0;
  for (let left = Number(count); left > 0; left -= 1) {
    const tensor = await readTensor(cursor);
    parameters += tensor.elements;
    reachesTo = Math.max(reachesTo, tensor.endByte);
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  // A file with only a vocabulary has no padding.
  const endByte = count === 0n ? cursor.position : dataStart + reachesTo;
  return { count: Number(count), parameters, endByte };
}

async function readTensor(cursor: ByteCursor): Promise<{ elements: number; endByte: number }> {
  if ((await readString(cursor, MAX_NAME_BYTES)) === undefined) {
    throw new RangeError('the name of a tensor is too long');
  }
  const dimensions = await cursor.uint32();
  if (dimensions > MAX_DIMENSIONS) throw new RangeError(`it has a tensor of ${dimensions} dimensions`);
  let elements = 1;
  for (let left = dimensions; left > 0; left -= 1) elements *= Number(await cursor.uint64());
  const type = await cursor.uint32();
  const offset = Number(await cursor.uint64());
  const endByte = offset + dataBytes(elements, type);
  if (!Number.isSafeInteger(endByte) || !Number.isSafeInteger(elements)) {
    throw new RangeError('it has a tensor that is larger than any file');
  }
  return { elements, endByte };
}

/** 0 for an unknown type: then only its beginning has to be within the file. */
function dataBytes(elements: number, type: number): number {
  for (const [blockElements, bytes] of BLOCKS) {
    const blockBytes = bytes[type];
    if (blockBytes !== undefined) return Math.ceil(elements / blockElements) * blockBytes;
  }
  return 0;
}

const WINDOW_BYTES = 1 << 20;

class TruncatedError extends Error {
  readonly atByte: number;

  constructor(atByte: number) {
    super(`it ends at byte ${atByte}, in the middle of something`);
    this.atByte = atByte;
  }
}

/**
 * Reads small values from the beginning of a large file, in order, through a buffer. Owns its position. Never reads beyond
 * the file: throws a `TruncatedError` instead.
 */
class ByteCursor {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  /** Position of the buffer in the file. */
  #windowStart = 0;
  #position = 0;

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  get position(): number {
    return this.#position;
  }

  get remainingBytes(): number {
    return this.sizeBytes - this.#position;
  }

  /** Bytes that can be taken without reading the file. */
  get bufferedBytes(): number {
    return Math.max(0, this.#windowStart + this.#window.length - this.#position);
  }

  /** Moves on without reading. */
  skip(bytes: number): void {
    if (bytes > this.remainingBytes) throw new TruncatedError(this.sizeBytes);
    this.#position += bytes;
  }

  /** Buffers so many bytes. */
  async need(bytes: number): Promise<void> {
    if (bytes <= this.bufferedBytes) return;
    if (bytes > this.remainingBytes) throw new TruncatedError(this.sizeBytes);
    const buffer = Buffer.alloc(Math.min(Math.max(bytes, WINDOW_BYTES), this.remainingBytes));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#position);
    // The file has become shorter since.
    if (bytesRead < bytes) throw new TruncatedError(this.#position + bytesRead);
    this.#window = buffer.subarray(0, bytesRead);
    this.#windowStart = this.#position;
  }

  /** The next bytes, which must be buffered; moves past them. */
  take(bytes: number): Buffer {
    const start = this.#position - this.#windowStart;
    this.#position += bytes;
    return this.#window.subarray(start, start + bytes);
  }

  async uint32(): Promise<number> {
    await this.need(4);
    return this.take(4).readUInt32LE();
  }

  async uint64(): Promise<bigint> {
    await this.need(8);
    return this.take(8).readBigUInt64LE();
  }
}
