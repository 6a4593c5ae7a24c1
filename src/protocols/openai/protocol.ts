/** The OpenAI API, with vLLM's /tokenize and /detokenize. null counts as absent, and unknown fields are no error. */
import type { ModelListFormat, Protocol } from '../protocol.ts';
import { chatRoute } from './chat/route.ts';
import { completionRoute } from './completions/route.ts';
import { embeddingsRoute } from './embeddings.ts';
import { openAiErrors } from './errors.ts';
import { openAiLimitHeaders } from './limit-headers.ts';
import { modelRoutes } from './models.ts';
import { responsesRoutes } from './responses/route.ts';
import { detokenizeRoute, tokenizeRoute } from './tokenize.ts';

/** `otherFormats`: of protocols whose clients look for models at the same paths. */
export const openAi = (otherFormats: readonly ModelListFormat[]): Protocol => ({
  name: 'openai',
  routes: [
    chatRoute,
    completionRoute,
    embeddingsRoute,
    ...responsesRoutes,
    ...modelRoutes(otherFormats),
    tokenizeRoute,
    detokenizeRoute,
  ],
  pathPrefixes: ['/v1/', '/tokenize', '/detokenize'],
  bodyLimit: 'media',
  contentTypes: 'json',
  errors: openAiErrors,
  limitHeaders: openAiLimitHeaders,
});
