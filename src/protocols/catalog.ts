/** Every route that generates, one line each. */
import type { GenerationRoute } from './generation-route.ts';
import { generateRoute, streamRoute } from './native/routes.ts';

export const GENERATION_ROUTES: readonly GenerationRoute[] = [generateRoute, streamRoute];

export { ErrorAnswer } from './native/answer-schema.ts';
/** The shape of errors on paths that belong to no protocol. */
export { renderError as renderDefaultError } from './native/render.ts';
