/** A context of the engine that reads what it is given and says what a test wants, token by token. */
import type { NativeContext } from '../../src/backends/llama-cpp/engine/library.ts';

export interface FakeContext extends NativeContext {
  /** All tokens that were evaluated, in their order. */
  readonly read: number[];
  /** What was copied: to, from. */
  readonly copies: (readonly [number, number])[];
}

export function fakeContext(says: readonly number[] = []): FakeContext {
  const read: number[] = [];
  const copies: (readonly [number, number])[] = [];
  const answer = [...says];
  return {
    read,
    copies,
    initBatch() {},
    addToBatch(_sequence, _position, tokens, logitIndexes) {
      read.push(...tokens);
      return logitIndexes;
    },
    decodeBatch: async () => {},
    sampleToken: (async () => answer.shift() ?? -1) as unknown as NativeContext['sampleToken'],
    disposeSequence() {},
    removeTokenCellsFromSequence: () => true,
    getSequenceKvCacheMinPosition: () => 0,
    copySequenceStateFromOtherSequence: async (to, from) => {
      copies.push([to, from]);
      return 0;
    },
    getEmbedding: () => new Float64Array(),
    setThreads() {},
  };
}
