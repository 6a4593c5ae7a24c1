/**
 * Makes the vector of one text at a time: decodes all its tokens in one batch, has llama.cpp pool them, and gives the
 * vector length 1. Owns the context. Invariant: between two texts it holds nothing of either.
 */
import type { Token } from './library.ts';
import type { NativeContext } from './native.ts';
import type { ThreadGovernor } from './thread-governor.ts';

const SEQUENCE = 0;
/** Enough to tell any two 32-bit floats apart. */
const SIGNIFICANT_DIGITS = 9;

export class TextVectors {
  readonly #context: NativeContext;
  readonly #threads: ThreadGovernor;

  constructor(context: NativeContext, threads: ThreadGovernor) {
    this.#context = context;
    this.#threads = threads;
  }

  /** `tokens`: at least one, and no more than the context holds. */
  async of(tokens: readonly Token[]): Promise<number[]> {
    const context = this.#context;
    try {
      context.setThreads(this.#threads.threads);
      context.initBatch(tokens.length);
      context.addToBatch(SEQUENCE, 0, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1));
      const startedAt = performance.now();
      await context.decodeBatch();
      const endedAt = performance.now();
      this.#threads.recordStep({ tokens: tokens.length, durationMs: endedAt - startedAt }, endedAt);
      return normalized(context.getEmbedding(tokens.length));
    } finally {
      context.disposeSequence(SEQUENCE);
    }
  }
}

/** As llama-server does unless told otherwise; a vector of zeros stays one. */
export function normalized(vector: Float64Array): number[] {
  const length = Math.hypot(...vector);
  if (!Number.isFinite(length)) throw new Error('The vector has components that are no numbers.');
  if (length === 0) return Array.from(vector);
  return Array.from(vector, (value) => Number((value / length).toPrecision(SIGNIFICANT_DIGITS)));
}
