/** The text of an API key: 256 random bits behind a prefix that people and secret scanners recognise. Only its hash is ever stored. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

export const KEY_PREFIX = 'sk-llm-';
const SECRET_BYTES = 32;
/** Of the secret, so many characters are kept to recognise a key by. 30 of its 256 bits. */
const SHOWN_CHARACTERS = 5;

export function newKeyText(): string {
  return KEY_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** SHA-256, in hexadecimal. A key has 256 random bits, so it can't be found by trying: no slow hash is needed. */
export function hashOfKey(key: string): string {
  return hash('sha256', key);
}

/** The beginning of a key, as it is shown: `sk-llm-Ab3xQ`. */
export function shownPartOf(key: string): string {
  return key.slice(0, KEY_PREFIX.length + SHOWN_CHARACTERS);
}

export function areHashesEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
