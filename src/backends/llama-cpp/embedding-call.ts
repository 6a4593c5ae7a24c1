/**
 * One embedding in the engine, as a promise. Owns the vectors that have come so far. Invariant: it settles once, when
 * the engine holds no work of it any more; after an abort with the signal's reason, whatever the engine still sends.
 * That is why it is not `abortable`, which would settle at once.
 */
import type { Embeddings } from '../../core/backend.ts';
import type { EmbeddingSink, RequestHandle } from './flights.ts';

export function embeddingCall(
  start: (sink: EmbeddingSink) => RequestHandle,
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
