/** The form of server-sent events that is ours in every protocol: one event in one write, never an empty `data:`. */

import type { LikelyToken } from '../core/generation.ts';
import { isNestedTooDeeply } from './body-reader.ts';

export const SSE = 'text/event-stream; charset=utf-8';

/** One line, no blank one after it: clients that take a lone comment for an event would stumble. */
export const SSE_HEARTBEAT = ':\n';

/** `name`: its `event:` line, where the protocol has one. */
export function sseEvent(data: unknown, name?: string): string {
  const line = `data: ${JSON.stringify(data)}\n\n`;
  return name === undefined ? line : `event: ${name}\n${line}`;
}

/** Tokens and their log-probabilities as answers show them. */

/** JSON has no infinity; what is rarer than this is as good as impossible. */
const MIN_LOGPROB = -9999;

/** A token of bytes that are no character by themselves shows U+FFFD. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function tokenText({ bytes }: LikelyToken): string {
  // Most tokens are ASCII, and a decoder is slow for so few bytes.
  if (bytes.every((byte) => byte < 0x80)) return String.fromCharCode(...bytes);
  return decoder.decode(Uint8Array.from(bytes));
}

export function finiteLogprob({ logprob }: LikelyToken): number {
  return Math.max(logprob, MIN_LOGPROB);
}

/** Its `bytes` are exact, whatever its text shows. */
export function renderToken(token: LikelyToken) {
  return { token: tokenText(token), logprob: finiteLogprob(token), bytes: token.bytes };
}

/** The text of a call's arguments, read: they are an object, or not (yet) arguments at all. */

export function parseJsonObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !isNestedTooDeeply(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
