/** The OpenAI API. Null counts as absent, fields that nobody knows are no error. */
import type { Protocol } from '../protocol.ts';
import { openAiErrors } from './errors.ts';
import { modelRoute, modelsRoute } from './models.ts';
import { responsesRoutes } from './responses/route.ts';

export const openAi: Protocol = {
  name: 'openai',
  routes: [modelsRoute, modelRoute, ...responsesRoutes],
  pathPrefixes: ['/v1/'],
  bodyLimit: 'media',
  contentTypes: 'json',
  errors: openAiErrors,
};
