/** The text of an API key: 256 random bits behind a prefix that people and secret scanners recognise. Only its hash is ever stored. */
import { hash, randomBytes } from 'node:crypto';

export const KEY_PREFIX = 'sk-llm-';
const SECRET_BYTES = 32;
const ID_BYTES = 8;
/** Of the secret, so many characters are kept to recognise a key by. 30 of its 256 bits. */
const SHOWN_CHARACTERS = 5;
/** Of a shorter key that was not made here, nothing is shown. */
const MIN_LENGTH_SHOWN = 24;

export function newKeyText(): string {
  return KEY_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** Of a key in the store: what stays of it when its secret is rotated. */
export function newKeyId(): string {
  return `key_${randomBytes(ID_BYTES).toString('hex')}`;
}

/** SHA-256, in hexadecimal. A key has 256 random bits, so it can't be found by trying: no slow hash is needed. */
export function hashOfKey(key: string): string {
  return hash('sha256', key);
}

/** The beginning of a key, as it is shown: `sk-llm-Ab3xQ`. Of one that was not made here less: it may be short. */
export function shownPartOf(key: string): string {
  if (key.startsWith(KEY_PREFIX)) return key.slice(0, KEY_PREFIX.length + SHOWN_CHARACTERS);
  return key.length < MIN_LENGTH_SHOWN ? '' : key.slice(0, SHOWN_CHARACTERS);
}

export const DIGEST_BYTES = 32;

/** The same hash as `hashOfKey`, each byte as one character: half as long, and made sooner than a Buffer. */
export function digestOfKey(key: string): string {
  return hash('sha256', key, 'binary');
}

export function hashOfDigest(digest: string): string {
  return Buffer.from(digest, 'binary').toString('hex');
}

export function digestOfHash(hash: string): string {
  return Buffer.from(hash, 'hex').toString('binary');
}

/** `known`: bytes, in which a digest begins at `begin`. Takes the same time wherever they differ. On its own, as making buffers for `timingSafeEqual` costs more than the hash. */
export function isDigest(known: Uint8Array, begin: number, digest: string): boolean {
  let difference = digest.length ^ DIGEST_BYTES;
  for (let at = 0; at < DIGEST_BYTES; at += 1)
    difference |= (known[begin + at] as number) ^ digest.charCodeAt(at);
  return difference === 0;
}
