/**
 * The pages: `/` (chat with a model, watch the server) with its files at `/assets/*`, and `/docs` (the API, browsable) with its files
 * and the description that it shows. Who asks for text/plain at `/` gets the routes as text.
 */
import { ServingError } from '../core/errors.ts';
import { describeApi } from './api-description.ts';
import { type EdgeRoute, JSON_TYPE, pageRoute, type RequestContext } from './context.ts';
import { addVary, MadeFile, StaticFiles } from './static-files.ts';

/** Where the build puts the page (scripts/web.mjs) and the API page (scripts/build.mjs); tests run from src/. */
const BUILT = new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../', import.meta.url);
const PAGE = 'index.html';
const ASSETS = 'assets/';
/** A name of an asset has the hash of its content. */
const FOR_EVER = 'public, max-age=31536000, immutable';

/** Swagger UI sets styles of elements, which a policy of style attributes would forbid; it needs nothing else that is inline. */
const VIEWER_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function pages({ version }: { readonly version: string }): readonly EdgeRoute[] {
  return [...chatPage(version), ...apiPage(version)];
}

function chatPage(version: string): readonly EdgeRoute[] {
  const files = new StaticFiles(new URL('web/', BUILT));
  return [
    pageRoute('/', async (context) => {
      addVary(context, 'Accept');
      if (asksForText(context)) context.answer(200, routesAsText(version), TEXT);
      else if (!(await files.send(context, PAGE)))
        context.answer(200, `${NOT_BUILT}\n\n${routesAsText(version)}`, TEXT);
    }),
    pageRoute('/assets/*', async (context) => {
      const sent = await files.send(context, ASSETS + restOf(context), { cache: FOR_EVER });
      if (!sent) throw notFound(context);
    }),
  ];
}

function apiPage(version: string): readonly EdgeRoute[] {
  const files = new StaticFiles(new URL('swagger-ui/', BUILT));
  const description = new MadeFile(JSON_TYPE, () => JSON.stringify(describeApi({ version })));
  const page = (name: string) => async (context: RequestContext) => {
    if (!(await files.send(context, name, { policy: VIEWER_POLICY }))) context.answer(200, NOT_BUILT, TEXT);
  };
  return [
    pageRoute('/openapi.json', (context) => description.send(context)),
    // All addresses in them are relative, so that a proxy may serve all of it below a prefix.
    pageRoute('/docs', page('without-slash.html')),
    pageRoute('/docs/', page(PAGE)),
    pageRoute('/docs/static/*', async (context) => {
      if (!(await files.send(context, restOf(context)))) throw notFound(context);
    }),
  ];
}

const TEXT = 'text/plain; charset=utf-8';

function restOf({ match }: RequestContext): string {
  return match?.params['*'] ?? '';
}

function notFound({ path }: RequestContext): ServingError {
  return new ServingError('not_found', { message: `The path ${path} does not exist.` });
}

function asksForText({ request }: RequestContext): boolean {
  const accept = (request.headers.accept ?? '').toLowerCase();
  return accept.includes('text/plain') && !accept.includes('text/html');
}

const NOT_BUILT = 'The page is not built: run npm run build.';

/** What this server is and where to go next, for a terminal. */
function routesAsText(version: string): string {
  return `LLM Serving API ${version}

POST /generate   a whole answer
POST /stream     token by token, as server-sent events
POST /embed      a vector for each text
/v1/…            for clients of OpenAI (chat, completions, responses, embeddings) and Anthropic (messages)
/api/…           for clients of Ollama
GET  /           in a browser: chat with a model, and watch the server
GET  /health     the process is alive
GET  /ready      the model can be used
GET  /metrics    Prometheus metrics
GET  /docs       the API, browsable (openapi.json)

curl localhost:8000/generate -H 'content-type: application/json' \\
  -d '{"prompt":"What is the capital of France?"}'
`;
}
