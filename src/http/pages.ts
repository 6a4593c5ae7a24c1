/**
 * The page at `/`, for browsers, and its files at `/assets/*`: what scripts/web.mjs has built, compressed as the browser takes it.
 * Who asks for text/plain gets the routes as text. Files are read at their first request, and kept.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { ServingError } from '../core/errors.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from './context.ts';

/** Where the build puts the page (scripts/web.mjs); tests run from src/. */
const BUILT = new URL(import.meta.url.endsWith('.ts') ? '../../dist/web/' : '../web/', import.meta.url);
const PAGE = 'index.html';
const ASSETS = 'assets/';

/** By the end of a file's name; no others are served. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['css', 'text/css; charset=utf-8'],
  ['html', 'text/html; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['svg', 'image/svg+xml'],
]);

/** Of the built forms, the preferred first. */
const ENCODINGS = [
  { name: 'br', ending: '.br' },
  { name: 'gzip', ending: '.gz' },
] as const;

/** Scripts, styles and connections of this server alone; nothing inline. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function setPageHeaders(context: RequestContext, policy = CONTENT_SECURITY_POLICY): void {
  context.setHeader('content-security-policy', policy);
  context.setHeader('x-content-type-options', 'nosniff');
  context.setHeader('referrer-policy', 'no-referrer');
}

export function pages({ version }: { readonly version: string }): readonly EdgeRoute[] {
  const files = new BuiltFiles(BUILT);
  return [
    pageRoute('/', async (context) => {
      addVary(context, 'Accept');
      if (asksForText(context)) context.answer(200, routesAsText(version), 'text/plain; charset=utf-8');
      else if (!(await sendFile(context, files, PAGE)))
        context.answer(200, `${NOT_BUILT}\n\n${routesAsText(version)}`, 'text/plain; charset=utf-8');
    }),
    pageRoute('/assets/*', async (context) => {
      const sent = await sendFile(context, files, ASSETS + (context.match?.params['*'] ?? ''));
      if (!sent) throw new ServingError('not_found', { message: `The path ${context.path} does not exist.` });
    }),
  ];
}

/** False: there is no such file. */
async function sendFile(context: RequestContext, files: BuiltFiles, name: string): Promise<boolean> {
  const encoding = ENCODINGS.find((each) => accepts(context, each.name));
  const file = await files.read(name, encoding?.ending ?? '');
  if (file === undefined) return false;
  setPageHeaders(context);
  addVary(context, 'Accept-Encoding');
  context.setHeader('etag', file.tag);
  // A name of an asset has the hash of its content.
  context.setHeader('cache-control', name === PAGE ? 'no-cache' : 'public, max-age=31536000, immutable');
  if (hasTag(context.request.headers['if-none-match'], file.tag)) {
    context.answer(304);
    return true;
  }
  if (encoding !== undefined) context.setHeader('content-encoding', encoding.name);
  context.answer(200, file.bytes, file.type);
  return true;
}

interface BuiltFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly tag: string;
}

/** What the build has written, by name and encoding. Holds at most the built page: less than a megabyte. */
class BuiltFiles {
  readonly #folder: URL;
  #names: Promise<ReadonlySet<string>> | undefined;
  readonly #read = new Map<string, Promise<BuiltFile>>();

  constructor(folder: URL) {
    this.#folder = folder;
    this.#names = undefined;
  }

  /** Undefined where the build has no such file. `ending`: of the encoded form. */
  async read(name: string, ending: string): Promise<BuiltFile | undefined> {
    this.#names ??= this.#list();
    const type = TYPES.get(name.slice(name.lastIndexOf('.') + 1));
    if (type === undefined || !(await this.#names).has(name)) return undefined;
    const path = name + ending;
    const known = this.#read.get(path) ?? this.#load(path, type);
    this.#read.set(path, known);
    // A read that failed is tried again.
    known.catch(() => this.#read.delete(path));
    return known;
  }

  async #load(path: string, type: string): Promise<BuiltFile> {
    const bytes = await readFile(new URL(path, this.#folder));
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
    return { bytes, type, tag: `"${hash}"` };
  }

  async #list(): Promise<ReadonlySet<string>> {
    try {
      const assets = await readdir(new URL(ASSETS, this.#folder));
      return new Set([PAGE, ...assets.map((name) => ASSETS + name)]);
    } catch {
      this.#names = undefined;
      return new Set();
    }
  }
}

function asksForText({ request }: RequestContext): boolean {
  const accept = (request.headers.accept ?? '').toLowerCase();
  return accept.includes('text/plain') && !accept.includes('text/html');
}

/** Whether Accept-Encoding names the encoding with a weight above 0. */
function accepts({ request }: RequestContext, encoding: string): boolean {
  const given = request.headers['accept-encoding'];
  const text = Array.isArray(given) ? given.join(',') : (given ?? '');
  return text
    .toLowerCase()
    .split(',')
    .some((part) => {
      const [name = '', ...parameters] = part.split(';').map((each) => each.trim());
      const weight = parameters.find((each) => each.startsWith('q='))?.slice(2);
      return name === encoding && (weight === undefined || Number(weight) > 0);
    });
}

/** Proxies that compress weaken a tag: `W/"…"`. */
function hasTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((each) => each.trim().replace(/^W\//, '') === tag);
}

function addVary(context: RequestContext, name: string): void {
  const given = context.getHeader('vary');
  context.setHeader('vary', given === undefined ? name : `${given}, ${name}`);
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
