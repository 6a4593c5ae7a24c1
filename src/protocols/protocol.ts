/**
 * A protocol as data: its routes, how it says that something went wrong, and which bodies it takes. Pure; http/ registers
 * whatever the catalogue lists and knows none by name.
 */
import type { TSchema } from 'typebox';
import type { ServingError } from '../core/errors.ts';
import type { EmbeddingRoute } from './embedding-route.ts';
import type { GenerationRoute } from './generation-route.ts';
import type { QueryRoute } from './query-route.ts';

export type Route = GenerationRoute | EmbeddingRoute | QueryRoute;

export interface Protocol {
  readonly name: string;
  readonly routes: readonly Route[];
  /** Paths below these that lead nowhere are answered in this protocol's words: `/v1/`. The longest that fits decides. */
  readonly pathPrefixes: readonly string[];
  /** `text`: server.body_limit_bytes; `media`: server.media_body_limit_bytes, for bodies that may bring pictures along. */
  readonly bodyLimit: 'text' | 'media';
  /** `any`: bodies are read as JSON whatever their content type says. */
  readonly contentTypes: 'json' | 'any';
  readonly errors: ErrorShape;
  /** A second name for X-Request-Id that its clients read. */
  readonly requestIdHeader?: string;
}

export interface ErrorShape {
  render(error: ServingError, requestId: string): RenderedError;
  /** Of the body, for OpenAPI. */
  readonly schema: TSchema;
}

export interface RenderedError {
  readonly status: number;
  readonly body: unknown;
}
