/** Every route that asks something of a model, one line each. */
import type { EmbeddingRoute } from './embedding-route.ts';
import type { GenerationRoute } from './generation-route.ts';
import { embedRoute } from './native/embed.ts';
import { generateRoute, streamRoute } from './native/routes.ts';

export const GENERATION_ROUTES: readonly GenerationRoute[] = [generateRoute, streamRoute];

export const EMBEDDING_ROUTES: readonly EmbeddingRoute[] = [embedRoute];

/** All of them: what costs the model is rate-limited. */
export const MODEL_ROUTES: readonly (GenerationRoute | EmbeddingRoute)[] = [
  ...GENERATION_ROUTES,
  ...EMBEDDING_ROUTES,
];

export { ErrorAnswer } from './native/answer-schema.ts';
/** The shape of errors on paths that belong to no protocol. */
export { renderError as renderDefaultError } from './native/render.ts';
