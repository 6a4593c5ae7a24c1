/**
 * The API description: GET /openapi.json, an OpenAPI 3.1 document made from the schemas that requests are checked against, and GET /docs,
 * which shows it in Swagger UI. Nothing is made or read before the first request for it.
 */
import { readFile } from 'node:fs/promises';
import { ERRORS, type ErrorCode, ServingError } from '../core/errors.ts';
import { PROTOCOLS } from '../protocols/catalog.ts';
import type { Protocol, Route } from '../protocols/protocol.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from './context.ts';
import { HINT_HEADERS } from './model-request.ts';
import { setPageHeaders } from './pages.ts';
import { DESCRIBED_ADMIN } from './routes/admin.ts';
import { DESCRIBED_LIVE } from './routes/live-schema.ts';
import { DESCRIBED_OPERATIONS, type DescribedOperation } from './routes/operations.ts';

/** Where the build copies Swagger UI's files to (scripts/build.mjs); tests run from src/. */
const VIEWER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/swagger-ui/' : '../swagger-ui/',
  import.meta.url,
);

const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** Swagger UI's files that the page needs; no others are served. */
const FILE_TYPES: ReadonlyMap<string, string> = new Map([
  ['swagger-ui.css', STYLE],
  ['swagger-ui-bundle.js', SCRIPT],
]);
const SETTINGS_FILE = 'swagger-initializer.js';
const THEME_FILE = 'theme.js';
const STYLE_FILE = 'page.css';

/** The viewer sets styles of elements, which a policy of style attributes would forbid; it needs nothing else that is inline. */
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

export function apiPages(options: { readonly version: string }): readonly EdgeRoute[] {
  let made: Buffer | undefined;
  const description = (context: RequestContext) => {
    made ??= Buffer.from(JSON.stringify(describeApi(options)));
    context.answer(200, made);
  };
  const page = (staticFolder: string) => (context: RequestContext) => {
    setPageHeaders(context, VIEWER_POLICY);
    context.answer(200, viewerPage(staticFolder), 'text/html; charset=utf-8');
  };
  return [
    pageRoute('/openapi.json', description),
    // Relative, so that a proxy may serve all of it below a prefix.
    pageRoute('/docs', page('docs/static')),
    pageRoute('/docs/', page('static')),
    pageRoute('/docs/static/*', (context) => sendFile(context, context.match?.params['*'] ?? '')),
  ];
}

async function sendFile(context: RequestContext, name: string): Promise<void> {
  const own = OWN_FILES.get(name);
  if (own !== undefined) {
    context.answer(200, own.text, own.type);
    return;
  }
  const type = FILE_TYPES.get(name);
  if (type === undefined) throw new ServingError('not_found');
  const tag = `"${await viewerVersion()}"`;
  // Revalidated with every view, and sent again only for another version of Swagger UI.
  context.setHeader('cache-control', 'no-cache');
  context.setHeader('etag', tag);
  if (context.request.headers['if-none-match'] === tag) context.answer(304);
  else context.answer(200, await readFile(new URL(name, VIEWER)), type);
}

async function viewerVersion(): Promise<string> {
  const text = await readFile(new URL('package.json', VIEWER), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

function viewerPage(folder: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>API – LLM Serving API</title>
<link rel="stylesheet" href="${folder}/swagger-ui.css">
<link rel="stylesheet" href="${folder}/${STYLE_FILE}">
<link rel="icon" href="data:,">
<script src="${folder}/${THEME_FILE}"></script>
<header class="back"><a id="back" href="./">LLM Serving API</a></header>
<div id="swagger-ui"></div>
<script src="${folder}/swagger-ui-bundle.js" charset="utf-8"></script>
<script src="${folder}/${SETTINGS_FILE}" charset="utf-8"></script>
</html>
`;
}

/** As the page at `/` was set, which keeps it in this browser; else as the system is. */
const VIEWER_THEME = `const system = matchMedia('(prefers-color-scheme: dark)');
function applyTheme() {
  let chosen = 'system';
  try { chosen = localStorage.getItem('llm-serve.theme') ?? 'system'; } catch {}
  document.documentElement.classList.toggle('dark-mode', chosen === 'system' ? system.matches : chosen === 'dark');
}
system.addEventListener('change', applyTheme);
applyTheme();
`;

const VIEWER_STYLE = `html { overflow-y: scroll; }
body { margin: 0; background: #fafafa; }
.dark-mode, .dark-mode body { background: #0e1116; }
.back { font: 14px/1.5 system-ui, sans-serif; padding: 10px 20px; border-bottom: 1px solid #8884; }
.back a { color: #1f5fd6; text-decoration: none; }
.dark-mode .back a { color: #6fa5ff; }
.back a::before { content: "← "; }
.swagger-ui .info { margin: 24px 0; }
`;

const VIEWER_SETTINGS = `const page = window.location.href.split(/[?#]/, 1)[0].replace(/\\/$/, '');
document.getElementById('back').href = new URL('./', page).href;
window.ui = SwaggerUIBundle({
  url: new URL('openapi.json', page).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  persistAuthorization: false,
});
`;

const OWN_FILES: ReadonlyMap<string, { readonly text: string; readonly type: string }> = new Map([
  [SETTINGS_FILE, { text: VIEWER_SETTINGS, type: SCRIPT }],
  [THEME_FILE, { text: VIEWER_THEME, type: SCRIPT }],
  [STYLE_FILE, { text: VIEWER_STYLE, type: STYLE }],
]);

export type ApiDescription = Readonly<Record<string, unknown>>;

/** Statuses that a route to a model can answer with, besides 200, in any protocol; the description lists the error codes of each. */
const MODEL_ROUTE_ERRORS = [400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 502, 503, 504, 508, 529];
const QUERY_ROUTE_ERRORS = [400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503, 504, 508, 529];

/** The `*` at the end of a path is always an id, and templates need a name for it. */
const WHOLE_REST = /\*$/;

export function describeApi({ version }: { readonly version: string }): ApiDescription {
  return {
    openapi: '3.1.0',
    info: {
      title: 'LLM Serving API',
      version,
      description:
        'Every response carries X-Request-Id and X-Response-Time-Ms (to its headers; of a stream: to its commit). ' +
        'Routes that ask a model carry X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset while the limiter is on, ' +
        'Server-Timing (queue, upstream, ttft, generate and gateway; of a stream what is known when it begins), and X-Request-Priority where a priority was asked for ' +
        '(with X-Priority-Lowered-From where it was more than the client may have), X-Attempts (how often a backend was asked) ' +
        'and, after the first attempt, X-Served-Model and X-Served-Target (the model that answered, or was asked last, and its target). ' +
        'X-Dropped-Parameters names what was dropped: tools of a vendor’s servers, the strict of a tool, and with compatibility: lenient what the backend does not support.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    // Relative to this document, so that a proxy may serve all of it below a prefix.
    servers: [{ url: './' }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
      schemas: {},
    },
    paths: describePaths(),
    // Without keys in the configuration none is required.
    security: [{}, { bearer: [] }, { apiKey: [] }],
  };
}

function describePaths(): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const paths: Record<string, Record<string, unknown>> = {};
  const add = (path: string, method: string, operation: unknown) => {
    const name = path.replace(WHOLE_REST, '{id}');
    paths[name] = { ...paths[name], [method.toLowerCase()]: operation };
  };
  for (const protocol of PROTOCOLS)
    for (const route of protocol.routes) add(route.path, route.method, describeRoute(route, protocol));
  for (const operation of [...DESCRIBED_OPERATIONS, ...DESCRIBED_LIVE, ...DESCRIBED_ADMIN])
    add(operation.path, operation.method ?? 'GET', describeOperation(operation));
  return paths;
}

function describeRoute(route: Route, { name, errors }: Protocol) {
  const { summary, description, answers } = route.describes;
  const asksModel = route.kind !== 'query';
  const parameters = [
    ...(asksModel ? headerParameters() : []),
    ...(WHOLE_REST.test(route.path)
      ? [{ schema: { type: 'string' }, in: 'path', name: 'id', required: true }]
      : []),
  ];
  const contents = Object.entries(answers).map(([type, schema]) => [type, { schema: described(schema) }]);
  return {
    summary,
    tags: [name],
    description,
    ...bodyOf(route.describes),
    ...(parameters.length > 0 && { parameters }),
    responses: {
      ...(contents.length > 0 && {
        200: { description: 'The answer', content: Object.fromEntries(contents) },
      }),
      ...refusalsOf(asksModel ? MODEL_ROUTE_ERRORS : QUERY_ROUTE_ERRORS, errors),
    },
  };
}

function bodyOf({ body }: Route['describes']) {
  if (body === undefined) return {};
  const { schema: node, oneOf, examples } = body;
  const schema = {
    ...(described(node) as object),
    ...(oneOf && { oneOf: oneOf.map((field) => ({ required: [field] })) }),
  };
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  const { description } = node as { readonly description?: string };
  return {
    requestBody: {
      required: true,
      content: { 'application/json': { schema, examples: Object.fromEntries(named) } },
      ...(description && { description }),
    },
  };
}

function refusalsOf(statuses: readonly number[], errors: Protocol['errors']) {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).map(
    (code) => ({ code, status: statusOf(code, errors) }) as const,
  );
  const refusals = statuses
    .map((status) => [status, codes.filter((each) => each.status === status)] as const)
    .filter(([, ofStatus]) => ofStatus.length > 0)
    .map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus.map(({ code }) => `${code}: ${ERRORS[code].title}`).join(' '),
        content: { 'application/json': { schema: described(errors.schema) } },
      },
    ]);
  return Object.fromEntries(refusals) as Readonly<Record<number, unknown>>;
}

/** As this protocol answers it. */
function statusOf(code: ErrorCode, errors: Protocol['errors']): number {
  return errors.render(new ServingError(code), '').status;
}

function headerParameters() {
  return Object.entries(HINT_HEADERS.properties).map(([name, schema]) => {
    const { description, ...rest } = described(schema) as { readonly description?: string };
    return { schema: rest, in: 'header', name, required: false, ...(description && { description }) };
  });
}

function describeOperation({ summary, description, parameter, query, answers }: DescribedOperation) {
  const responses = Object.entries(answers).map(
    ([status, { description: what, contentType, schema, others = {} }]) => [
      status,
      {
        description: what,
        content: Object.fromEntries(
          Object.entries({ [contentType]: schema, ...others }).map(([type, each]) => [
            type,
            { schema: described(each) },
          ]),
        ),
      },
    ],
  );
  const parameters = [
    ...(parameter ? [{ schema: { type: 'string' }, in: 'path', required: true, ...parameter }] : []),
    ...(query ? [{ in: 'query', name: query.name, required: false, schema: described(query.schema) }] : []),
  ];
  return {
    summary,
    ...(description && { description }),
    ...(parameters.length > 0 && { parameters }),
    responses: Object.fromEntries(responses),
  };
}

/**
 * A schema as tools that read API descriptions need it: an enum of strings has a type, for client generators; a constant is an enum of
 * one value, since the viewer does not support `const`; properties by pattern are additional properties.
 */
function described(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(described);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { const: constant, patternProperties, ...rest } = schema as Keywords;
  const values: unknown = rest.enum;
  const isTexts = Array.isArray(values) && values.every((value) => typeof value === 'string');
  return {
    ...(isTexts && rest.type === undefined && { type: 'string' }),
    ...describedValues(rest),
    ...(constant !== undefined && { enum: [constant] }),
    ...(patternProperties && { additionalProperties: described(Object.values(patternProperties)[0]) }),
  };
}

interface Keywords {
  readonly [keyword: string]: unknown;
  readonly patternProperties?: object;
}

function describedValues(keywords: object): object {
  return Object.fromEntries(
    // Names of properties are no keywords.
    Object.entries(keywords).map(([keyword, value]) => [
      keyword,
      keyword === 'properties' ? describedValues(value as object) : described(value),
    ]),
  );
}
