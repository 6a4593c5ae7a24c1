/** A route that embeds as data: how a body becomes an EmbeddingRequest and how vectors become a body. Pure. */
import type { EmbeddingRequest, Embeddings } from '../core/backend.ts';
import type { RequestId } from '../core/generation.ts';
import type { Receipt, Timings } from '../core/receipt.ts';
import type { GenerationRoute, ParseContext, ParsedGeneration } from './generation-route.ts';

export interface ParsedEmbedding extends Pick<ParsedGeneration, 'timeoutMs' | 'priority'> {
  readonly request: EmbeddingRequest;
}

/** What an answer tells beside the vectors. */
export interface EmbeddingAnswerContext {
  readonly id: RequestId;
  readonly request: EmbeddingRequest;
  readonly receipt: Receipt;
  timings(): Timings;
}

export interface EmbeddingRoute
  extends Pick<GenerationRoute, 'method' | 'path' | 'body' | 'describes' | 'renderError'> {
  readonly kind: 'embedding';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: Pick<ParseContext, 'defaultModel' | 'requireModel'>): ParsedEmbedding;
  render(embeddings: Embeddings, answer: EmbeddingAnswerContext): unknown;
}
