/**
 * The header of a GGUF file (versions 2 and 3, little-endian): its metadata, and where its tensors lie. Reads only
 * the header, passes over long arrays, and believes no length that the file cannot hold.
 * The layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { open } from 'node:fs/promises';
import { ByteCursor, CutOffError } from './byte-cursor.ts';
import { readTensors, type TensorSummary } from './gguf-tensors.ts';
import { type MetadataValue, readString, readValue } from './gguf-values.ts';

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: TensorSummary;
  readonly sizeBytes: number;
}

/** What is wrong with a file, as the rest of a sentence: "is empty", "is cut off: …". */
export class GgufError extends Error {}

const MAGIC = 'GGUF';
const VERSIONS = [2, 3];
/** A key with its length, the type of its value, and one byte of value. */
const SMALLEST_ENTRY_BYTES = 8 + 4 + 1;
const DEFAULT_ALIGNMENT = 32;
const LONGEST_KEY_BYTES = 65_535;

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
    if (error instanceof CutOffError) {
      throw new GgufError(`is cut off: its header does not end within its ${error.atByte} bytes`);
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
      `is cut off: it has ${cursor.sizeBytes} bytes where its tensors need ${tensors.endByte}`,
    );
  }
  return { version, metadata, tensors, sizeBytes: cursor.sizeBytes };
}

async function readMetadata(cursor: ByteCursor, count: bigint): Promise<Map<string, MetadataValue>> {
  if (count > BigInt(Math.floor(cursor.leftBytes / SMALLEST_ENTRY_BYTES))) {
    throw new RangeError(`it claims ${count} metadata entries, more than it has room for`);
  }
  const metadata = new Map<string, MetadataValue>();
  for (let left = count; left > 0n; left -= 1n) {
    const key = await readString(cursor, LONGEST_KEY_BYTES);
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
