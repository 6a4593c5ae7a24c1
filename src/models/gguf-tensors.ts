/** The tensors that a GGUF header lists: how many numbers they hold, and up to which byte of the file they reach. */
import type { ByteCursor } from './byte-cursor.ts';
import { readString } from './gguf-values.ts';

export interface TensorSummary {
  readonly count: number;
  /** Numbers in all tensors together: the model's parameters. */
  readonly parameters: number;
  /** Where the last tensor ends. */
  readonly endByte: number;
}

/** A name's length, the number of dimensions, the type, the offset. */
const SMALLEST_TENSOR_BYTES = 8 + 4 + 4 + 8;
const LONGEST_NAME_BYTES = 1024;
const MOST_DIMENSIONS = 8;

/** Bytes of a block by ggml type, for each number of elements that a block may have. */
const BLOCKS: readonly (readonly [elements: number, bytes: Readonly<Record<number, number>>])[] = [
  [1, { 0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2 }],
  [32, { 2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 9: 36, 20: 18, 39: 17 }],
  [256, { 10: 84, 11: 110, 12: 144, 13: 176, 14: 210, 15: 292, 16: 66, 17: 74, 18: 98, 19: 50 }],
  [256, { 21: 110, 22: 82, 23: 136, 29: 56, 34: 54, 35: 66 }],
];

export async function readTensors(
  cursor: ByteCursor,
  { count, alignment }: { readonly count: bigint; readonly alignment: number },
): Promise<TensorSummary> {
  if (count > BigInt(Math.floor(cursor.leftBytes / SMALLEST_TENSOR_BYTES))) {
    throw new RangeError(`it claims ${count} tensors, more than it has room for`);
  }
  let parameters = 0;
  let reachesTo = 0;
  for (let left = Number(count); left > 0; left -= 1) {
    const tensor = await readTensor(cursor);
    parameters += tensor.elements;
    reachesTo = Math.max(reachesTo, tensor.endByte);
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  // The header of a vocabulary alone is not padded.
  const endByte = count === 0n ? cursor.position : dataStart + reachesTo;
  return { count: Number(count), parameters, endByte };
}

async function readTensor(cursor: ByteCursor): Promise<{ elements: number; endByte: number }> {
  if ((await readString(cursor, LONGEST_NAME_BYTES)) === undefined) {
    throw new RangeError('the name of a tensor is too long');
  }
  const dimensions = await cursor.uint32();
  if (dimensions > MOST_DIMENSIONS) throw new RangeError(`it has a tensor of ${dimensions} dimensions`);
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

/** 0 for a type that is not known here: then at least the beginning has to be in the file. */
function dataBytes(elements: number, type: number): number {
  for (const [blockElements, bytes] of BLOCKS) {
    const blockBytes = bytes[type];
    if (blockBytes !== undefined) return Math.ceil(elements / blockElements) * blockBytes;
  }
  return 0;
}
