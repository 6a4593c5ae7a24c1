/**
 * One embedding in the engine, as a promise. Owns the vectors that have come so far. Invariant: it settles once, when
 * the engine holds no work of it any more; after an abort with the signal's reason, whatever the engine still says.
 */
import type { Embeddings } from '../../core/backend.ts';
import type { RunningOrder } from './generation-stream.ts';

/** Where the engine's side reports to. */
export interface EmbeddingSink {
  vector(values: readonly number[]): void;
  /** All vectors have come. */
  embedded(promptTokens: number): void;
  /** It ended with an error. */
  failed(error: Error): void;
  /** It was aborted, and nothing of it runs. */
  freed(): void;
}

export function embeddingCall(
  start: (sink: EmbeddingSink) => RunningOrder,
  signal: AbortSignal,
): Promise<Embeddings> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const vectors: (readonly number[])[] = [];
    const settle = (outcome: () => void) => {
      signal.removeEventListener('abort', abort);
      if (signal.aborted) reject(signal.reason);
      else outcome();
    };
    const abort = () => running.abort();
    signal.addEventListener('abort', abort);
    const running = start({
      vector: (values) => vectors.push(values),
      embedded: (promptTokens) => settle(() => resolve({ vectors, promptTokens })),
      failed: (error) => settle(() => reject(error)),
      freed: () => settle(() => reject(signal.reason)),
    });
  });
}
