/** Tokens and their log-probabilities as answers show them. */
import type { LikelyToken } from '../core/generation.ts';

/** JSON has no infinity; what is rarer than this is as good as impossible. */
const LEAST_LOGPROB = -9999;

/** A token of bytes that are no character by themselves shows U+FFFD. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function tokenText({ bytes }: LikelyToken): string {
  // Most tokens are ASCII, and a decoder is slow for so few bytes.
  if (bytes.every((byte) => byte < 0x80)) return String.fromCharCode(...bytes);
  return decoder.decode(Uint8Array.from(bytes));
}

export function shownLogprob({ logprob }: LikelyToken): number {
  return Math.max(logprob, LEAST_LOGPROB);
}

/** Its `bytes` are exact, whatever its text shows. */
export function renderToken(token: LikelyToken) {
  return { token: tokenText(token), logprob: shownLogprob(token), bytes: token.bytes };
}
