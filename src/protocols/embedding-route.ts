/** A route that embeds: how a body becomes an EmbeddingRequest and how vectors become a body. Pure. */
import type { EmbeddingRequest, Embeddings } from '../core/backend.ts';
import type { RequestId } from '../core/generation.ts';
import type { AnswerContext, ParseContext, ParsedGeneration } from './generation-route.ts';
import type { RouteBase } from './route-base.ts';

export interface ParsedEmbedding extends Pick<ParsedGeneration, 'timeoutMs' | 'priority' | 'dropped'> {
  /** Without inputs no model is asked: there are no vectors. */
  readonly request: EmbeddingRequest;
  render(embeddings: Embeddings, answer: EmbeddingAnswerContext): unknown;
}

export interface EmbeddingAnswerContext extends AnswerContext {
  readonly id: RequestId;
}

export interface EmbeddingRoute extends RouteBase {
  readonly kind: 'embedding';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: Pick<ParseContext, 'requireModel'>): ParsedEmbedding;
}
