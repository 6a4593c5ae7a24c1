/** One decode step of the whole engine: the chunks of all that take part, evaluated as one batch. Keeps no state. */
import type { Token } from './library.ts';
import type { NativeContext } from './native.ts';
import type { Sequence } from './sequence.ts';

export interface Chunk {
  readonly sequence: Sequence;
  /** At least one; they follow what the sequence holds. */
  readonly tokens: readonly Token[];
  /** A token is to be chosen after the last one. */
  readonly samples: boolean;
}

const NO_LOGITS = new Uint32Array();

/** Where each chunk's logits are, for chunks that sample; `undefined` for the others. */
export async function decode(
  context: NativeContext,
  chunks: readonly Chunk[],
): Promise<readonly (number | undefined)[]> {
  context.initBatch(chunks.reduce((sum, { tokens }) => sum + tokens.length, 0));
  const logitIndexes = chunks.map(({ sequence, tokens, samples }) => {
    const wanted = samples ? Uint32Array.of(tokens.length - 1) : NO_LOGITS;
    return context.addToBatch(sequence.id, sequence.length, Uint32Array.from(tokens), wanted)[0];
  });
  await context.decodeBatch();
  for (const { sequence, tokens } of chunks) sequence.extend(tokens);
  return logitIndexes;
}
