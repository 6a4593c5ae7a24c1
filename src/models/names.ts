/**
 * The names of models: a catalogue name, a file of the hub (`hf:owner/repo/file.gguf`, optionally `@revision`), an https
 * URL, or a path. Parsed strictly: anything else is rejected, and no name can point outside the model folder.
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path/posix';
import { ServingError } from '../core/errors.ts';
import { findModel, MODELS, type ModelEntry, type ModelSource } from './catalog.ts';
import { type HubFile, hubCacheName, hubName, parseHubFile, rejectSplitFile } from './hub.ts';

export type ModelReference =
  | { readonly kind: 'catalogue'; readonly entry: ModelEntry }
  | { readonly kind: 'hub'; readonly file: HubFile }
  | { readonly kind: 'url'; readonly url: ModelUrl }
  | { readonly kind: 'path'; readonly path: string };

/** Throws ServingError('model_not_found'), whose message says what is wrong and what is allowed. */
export function parseReference(text: string): ModelReference {
  try {
    if (/^hf:/i.test(text)) return { kind: 'hub', file: parseHubFile(text.slice('hf:'.length)) };
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { kind: 'url', url: parseModelUrl(text) };
  } catch (error) {
    throw new ServingError('model_not_found', {
      message: `The model name ${JSON.stringify(text)} ${(error as Error).message}.`,
    });
  }
  if (isModelPath(text)) return { kind: 'path', path: text };
  const entry = findModel(text);
  if (entry !== undefined) return { kind: 'catalogue', entry };
  throw unknownName(text);
}

function isModelPath(model: string): boolean {
  return /[/\\]/.test(model) || model.toLowerCase().endsWith('.gguf');
}

function unknownName(name: string): ServingError {
  const names = MODELS.map((known) => known.name).join(', ');
  return new ServingError('model_not_found', {
    message:
      `There is no model called ${JSON.stringify(name)} in the catalogue. Known names: ${names}. ` +
      'Or give hf:owner/repo/file.gguf, https://host/file.gguf, or the path of a GGUF file.',
  });
}

interface ModelUrl {
  /** Without its fragment. */
  readonly address: string;
  /** Without query and fragment, for messages: a query may contain a key. */
  readonly shown: string;
  readonly host: string;
  /** From the fragment `#sha256=…`. */
  readonly sha256: string | undefined;
}

const SHA256_FRAGMENT = /^#sha256=([0-9a-f]{64})$/i;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** Throws an Error whose message continues "The model name … ". */
function parseModelUrl(text: string): ModelUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new Error('is not a valid URL');
  if (url.protocol !== 'https:' && !isLoopbackHttp(url))
    throw new Error(`begins with ${url.protocol}//, but must be an https:// URL`);
  if (url.username !== '' || url.password !== '')
    throw new Error('contains a user name or password, which logs would show: remove it');
  if (!url.pathname.toLowerCase().endsWith('.gguf'))
    throw new Error('must end in the name of a GGUF file, such as https://host/file.gguf');
  rejectSplitFile(url.pathname);
  const fragment = SHA256_FRAGMENT.exec(url.hash);
  if (url.hash !== '' && fragment === null)
    throw new Error(`ends in ${url.hash}, but only #sha256= and 64 hexadecimal digits may follow`);
  return {
    address: url.origin + url.pathname + url.search,
    shown: url.origin + url.pathname,
    host: url.host,
    sha256: fragment?.[1]?.toLowerCase(),
  };
}

/** Plain http is allowed where it stays on this machine. */
function isLoopbackHttp(url: URL): boolean {
  return url.protocol === 'http:' && LOOPBACK.includes(url.hostname);
}

/** Readable, and different for each URL. */
function urlCacheName({ address, host }: ModelUrl): string {
  const file = basename(new URL(address).pathname).slice(0, -'.gguf'.length);
  const digest = createHash('sha256').update(address).digest('hex').slice(0, 12);
  return `https--${plain(host, 60)}--${plain(file, 100)}--${digest}.gguf`;
}

function plain(text: string, longest: number): string {
  return text.replace(/[^A-Za-z0-9._]+/g, '-').slice(0, longest);
}

/** A file that can be downloaded. A catalogue entry is one. */
export interface RemoteFile {
  /** For messages. */
  readonly name: string;
  /** In the cache folder. */
  readonly fileName: string;
  /** Absent: unknown until the source reports it. */
  readonly sizeBytes?: number | undefined;
  /** Lower-case hexadecimal. Absent: unknown until the source reports it, if it does. */
  readonly sha256?: string | undefined;
  /** Tried in this order. */
  readonly sources: readonly ModelSource[];
}

/** A path is never downloaded. */
type RemoteReference = Exclude<ModelReference, { kind: 'path' }>;

export function remoteFileOf(reference: RemoteReference): RemoteFile {
  switch (reference.kind) {
    case 'catalogue':
      return reference.entry;
    case 'hub': {
      const { file } = reference;
      return {
        name: hubName(file),
        fileName: hubCacheName(file),
        sources: [{ kind: 'hub', ...file }],
      };
    }
    case 'url': {
      const { url } = reference;
      return {
        name: url.shown,
        fileName: urlCacheName(url),
        sha256: url.sha256,
        sources: [{ kind: 'https', url: url.address }],
      };
    }
    default:
      return reference satisfies never;
  }
}
