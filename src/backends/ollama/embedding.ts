/** Embeddings in the words of Ollama's native API, which gives vectors of length 1. Pure. */
import type { EmbeddingInput, Embeddings } from '../../core/backend.ts';
import { asArray, asCount, asObject } from '../../upstream/lenient.ts';
import { readVectors } from '../../upstream/vectors.ts';
import type { ModelSettings } from './request-body.ts';

export interface EmbedCall {
  readonly path: '/api/embed';
  readonly body: Readonly<Record<string, unknown>>;
}

/** Without a text it loads the model and answers when that is in memory. */
export function embedCall(inputs: readonly EmbeddingInput[], settings: ModelSettings): EmbedCall {
  const { model, keepAlive, contextSize } = settings;
  const options = contextSize === undefined ? {} : { options: { num_ctx: contextSize } };
  // A text that is too long is to be refused, not cut.
  return {
    path: '/api/embed',
    body: { model, input: inputs, keep_alive: keepAlive, truncate: false, ...options },
  };
}

export function readEmbeddings(body: unknown, count: number): Embeddings {
  const { embeddings, prompt_eval_count } = asObject(body);
  return { vectors: readVectors(asArray(embeddings), count), promptTokens: asCount(prompt_eval_count) ?? 0 };
}
