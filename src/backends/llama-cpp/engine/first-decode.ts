/**
 * Decodes and chooses a first token before the engine says that it is ready. A device can take every layer and still fail
 * at its first computation, usually by ending the process: a GPU build that is newer than the driver does. Leaves the
 * context as empty as it was.
 */
import type { Token } from './library.ts';
import type { NativeContext, NativeSampler } from './native.ts';

const SEQUENCE = 0;

export interface FirstDecode {
  readonly sampler: NativeSampler;
  /** Any token of the vocabulary. */
  readonly token: Token;
  /** Lengths of the steps; steps of one token and of many use different kernels. */
  readonly steps: readonly number[];
}

export async function decodeFirstToken(
  context: NativeContext,
  { sampler, token, steps }: FirstDecode,
): Promise<void> {
  let position = 0;
  sampler.applyConfig({ temperature: 0 });
  try {
    for (const length of steps) {
      context.initBatch(length);
      const tokens = new Uint32Array(length).fill(token);
      const [logits] = context.addToBatch(SEQUENCE, position, tokens, Uint32Array.of(length - 1));
      await context.decodeBatch();
      const chosen = logits === undefined ? -1 : await context.sampleToken(logits, sampler);
      if (chosen < 0) throw new Error('No first token could be chosen.');
      position += length;
    }
  } finally {
    context.disposeSequence(SEQUENCE);
  }
}
