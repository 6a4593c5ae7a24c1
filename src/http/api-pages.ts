/**
 * GET /openapi.json, and GET /docs, which shows it in Swagger UI: our page and settings, its files as they are.
 * Nothing is made or read before somebody asks.
 */
import { readFile } from 'node:fs/promises';
import { ServingError } from '../core/errors.ts';
import { describeApi } from './api-description.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from './context.ts';

/** Where the build copies Swagger UI's files to (scripts/build.mjs); tests run from src/. */
const VIEWER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/swagger-ui/' : '../swagger-ui/',
  import.meta.url,
);

/** Those that the page needs; no other is served. */
const FILE_TYPES: ReadonlyMap<string, string> = new Map([
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['index.css', 'text/css; charset=utf-8'],
  ['swagger-ui-bundle.js', 'application/javascript; charset=utf-8'],
  ['swagger-ui-standalone-preset.js', 'application/javascript; charset=utf-8'],
  ['favicon-16x16.png', 'image/png'],
  ['favicon-32x32.png', 'image/png'],
]);
const SETTINGS_FILE = 'swagger-initializer.js';

export function apiPages(options: { readonly version: string }): readonly EdgeRoute[] {
  let made: Buffer | undefined;
  const description = (context: RequestContext) => {
    made ??= Buffer.from(JSON.stringify(describeApi(options)));
    context.answer(200, made);
  };
  const page = (staticFolder: string) => (context: RequestContext) =>
    context.answer(200, viewerPage(staticFolder), 'text/html; charset=utf-8');
  return [
    pageRoute('/openapi.json', description),
    // Relative, so that a proxy may serve all of it below a prefix.
    pageRoute('/docs', page('docs/static')),
    pageRoute('/docs/', page('static')),
    pageRoute('/docs/static/*', (context) => sendFile(context, context.match?.params['*'] ?? '')),
  ];
}

async function sendFile(context: RequestContext, name: string): Promise<void> {
  if (name === SETTINGS_FILE) {
    context.answer(200, VIEWER_SETTINGS, 'application/javascript; charset=utf-8');
    return;
  }
  const type = FILE_TYPES.get(name);
  if (type === undefined) throw new ServingError('not_found');
  const tag = `"${await viewerVersion()}"`;
  // Asked again with every view, and sent again only with another version of Swagger UI.
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
<title>LLM Serving API</title>
<link rel="stylesheet" href="${folder}/swagger-ui.css">
<link rel="stylesheet" href="${folder}/index.css">
<link rel="icon" type="image/png" href="${folder}/favicon-32x32.png" sizes="32x32">
<link rel="icon" type="image/png" href="${folder}/favicon-16x16.png" sizes="16x16">
<div id="swagger-ui"></div>
<script src="${folder}/swagger-ui-bundle.js" charset="utf-8"></script>
<script src="${folder}/swagger-ui-standalone-preset.js" charset="utf-8"></script>
<script src="${folder}/${SETTINGS_FILE}" charset="utf-8"></script>
</html>
`;
}

const VIEWER_SETTINGS = `const page = window.location.href.split(/[?#]/, 1)[0].replace(/\\/$/, '');
window.ui = SwaggerUIBundle({
  url: new URL('openapi.json', page).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  layout: 'StandaloneLayout',
});
`;
