/** The OpenAI API. Null counts as absent, fields that nobody knows are no error. */
import type { Protocol } from '../protocol.ts';
import { chatRoute } from './chat/route.ts';
import { completionRoute } from './completions/route.ts';
import { embeddingsRoute } from './embeddings.ts';
import { openAiErrors } from './errors.ts';
import { modelRoute, modelsRoute } from './models.ts';
import { responsesRoutes } from './responses/route.ts';
import { detokenizeRoute, tokenizeRoute } from './tokenize.ts';

export const openAi: Protocol = {
  name: 'openai',
  routes: [
    chatRoute,
    completionRoute,
    embeddingsRoute,
    ...responsesRoutes,
    modelsRoute,
    modelRoute,
    tokenizeRoute,
    detokenizeRoute,
  ],
  pathPrefixes: ['/v1/', '/tokenize', '/detokenize'],
  bodyLimit: 'media',
  contentTypes: 'json',
  errors: openAiErrors,
};
