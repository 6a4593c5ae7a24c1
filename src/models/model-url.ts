/** A model file given by its https address, and the name it has in the cache. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path/posix';
import { refusePartOfSeveral } from './hub-file.ts';

export interface ParsedUrl {
  /** Without its fragment. */
  readonly address: string;
  /** Without query and fragment, for messages: a query may hold a key. */
  readonly shown: string;
  readonly host: string;
  /** From the fragment `#sha256=…`. */
  readonly sha256: string | undefined;
}

const SHA256_FRAGMENT = /^#sha256=([0-9a-f]{64})$/i;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** Throws an Error whose message continues "The model name … ". */
export function parseModelUrl(text: string): ParsedUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new Error('is not a valid address');
  if (url.protocol !== 'https:' && !isLoopbackHttp(url))
    throw new Error(`begins with ${url.protocol}//, but must be an https:// address`);
  if (url.username !== '' || url.password !== '')
    throw new Error('holds a user name or password, which would be shown in logs: leave it out');
  if (!url.pathname.toLowerCase().endsWith('.gguf'))
    throw new Error('must end in the name of a GGUF file, such as https://host/file.gguf');
  refusePartOfSeveral(url.pathname);
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

/** Plain http never leaves this machine. */
function isLoopbackHttp(url: URL): boolean {
  return url.protocol === 'http:' && LOOPBACK.includes(url.hostname);
}

/** Readable, and of this address alone. */
export function urlFileName({ address, host }: ParsedUrl): string {
  const file = basename(new URL(address).pathname).slice(0, -'.gguf'.length);
  const digest = createHash('sha256').update(address).digest('hex').slice(0, 12);
  return `https--${plain(host, 60)}--${plain(file, 100)}--${digest}.gguf`;
}

function plain(text: string, longest: number): string {
  return text.replace(/[^A-Za-z0-9._]+/g, '-').slice(0, longest);
}
