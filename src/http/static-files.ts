/**
 * Sends the files of the pages: what the build has written into a folder, and what is made here at the first request for it. Each goes
 * out compressed as the client takes it, with a tag of its content and with the headers that keep browsers strict. Files are read at
 * their first request, and kept: a few megabytes.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { RequestContext } from './context.ts';
import { setPageHeaders } from './security-headers.ts';

/** By the end of a file's name; no others are served. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['css', 'text/css; charset=utf-8'],
  ['html', 'text/html; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['svg', 'image/svg+xml'],
]);

/** Of the forms of a file, the preferred first. */
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

/** Asked for again each time, and sent again only if it is another one. */
const REVALIDATED = 'no-cache';

interface SendOptions {
  /** Cache-Control. */
  readonly cache?: string;
  /** Content-Security-Policy. */
  readonly policy?: string;
}

interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly tag: string;
}

/** The files of one folder, by their path in it. */
export class StaticFiles {
  readonly #folder: URL;
  /** With their compressed forms. */
  #names: Promise<ReadonlySet<string>> | undefined;
  readonly #read = new Map<string, Promise<StaticFile>>();

  constructor(folder: URL) {
    this.#folder = folder;
    this.#names = undefined;
  }

  /** False: there is no such file. */
  async send(context: RequestContext, name: string, options: SendOptions = {}): Promise<boolean> {
    this.#names ??= this.#list();
    const names = await this.#names;
    const type = typeOf(name);
    if (type === undefined || !names.has(name)) return false;
    const encoding = ENCODINGS.find((each) => names.has(name + each.ending) && accepts(context, each.name));
    const path = name + (encoding?.ending ?? '');
    const reading = this.#read.get(path) ?? this.#load(path, type);
    this.#read.set(path, reading);
    // A read that failed is tried again.
    reading.catch(() => this.#read.delete(path));
    answer(context, await reading, { encoding: encoding?.name, ...options });
    return true;
  }

  async #load(path: string, type: string): Promise<StaticFile> {
    return fileOf(await readFile(new URL(path, this.#folder)), type);
  }

  async #list(): Promise<ReadonlySet<string>> {
    try {
      const names = await readdir(this.#folder, { recursive: true });
      return new Set(names.map((name) => name.replaceAll(sep, '/')));
    } catch {
      // It may be built while the server runs.
      this.#names = undefined;
      return new Set();
    }
  }
}

const compress = promisify(gzip);

/** A file that is made at the first request for it. */
export class MadeFile {
  readonly #type: string;
  readonly #make: () => string;
  #forms: Promise<{ readonly plain: StaticFile; readonly gzip: StaticFile }> | undefined;

  constructor(type: string, make: () => string) {
    this.#type = type;
    this.#make = make;
    this.#forms = undefined;
  }

  async send(context: RequestContext, options: SendOptions = {}): Promise<void> {
    this.#forms ??= this.#made();
    const forms = await this.#forms;
    if (accepts(context, 'gzip')) answer(context, forms.gzip, { encoding: 'gzip', ...options });
    else answer(context, forms.plain, { encoding: undefined, ...options });
  }

  async #made() {
    const bytes = Buffer.from(this.#make());
    return { plain: fileOf(bytes, this.#type), gzip: fileOf(await compress(bytes), this.#type) };
  }
}

function fileOf(bytes: Buffer, type: string): StaticFile {
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
  return { bytes, type, tag: `"${hash}"` };
}

function typeOf(name: string): string | undefined {
  return TYPES.get(name.slice(name.lastIndexOf('.') + 1));
}

function answer(
  context: RequestContext,
  { bytes, type, tag }: StaticFile,
  {
    encoding,
    cache = REVALIDATED,
    policy = CONTENT_SECURITY_POLICY,
  }: SendOptions & { readonly encoding: string | undefined },
): void {
  setPageHeaders(context, policy);
  context.setHeader('cache-control', cache);
  context.setHeader('etag', tag);
  addVary(context, 'Accept-Encoding');
  if (hasTag(context.request.headers['if-none-match'], tag)) {
    context.answer(304);
    return;
  }
  if (encoding !== undefined) context.setHeader('content-encoding', encoding);
  context.answer(200, bytes, type);
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

export function addVary(context: RequestContext, name: string): void {
  const given = context.getHeader('vary');
  context.setHeader('vary', given === undefined ? name : `${given}, ${name}`);
}
