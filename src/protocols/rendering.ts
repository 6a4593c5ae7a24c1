/** What the answers of several protocols have in common: values that may be null, server-sent events, tokens, JSON objects. */
import { type TSchema, Type } from 'typebox';
import type { LikelyToken, ModelId } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { isNestedTooDeeply } from './body-reader.ts';

export const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** The model that an answer names: the one that was asked for, or the fallback model that answers instead. Known once content comes. */
export function modelOf(asked: ModelId, { trace }: { readonly trace: RequestTrace }): ModelId {
  return trace.servedModel ?? asked;
}

const milliseconds = (description: string) => Type.Number({ minimum: 0, description });

/** Where the time of an answer went. Of several choices: the one that ended last. */
export const TimingsSchema = Type.Object(
  {
    queue_ms: milliseconds('Waiting for a slot, in all tries.'),
    upstream_ms: milliseconds('At the backends, in all tries.'),
    ttft_ms: Type.Optional(
      milliseconds(
        'Of upstream_ms: from the slot to the first token, of the try that answered. Absent where the answer came in one piece.',
      ),
    ),
    generate_ms: Type.Optional(
      milliseconds('Of upstream_ms: from the first token to the end, of the try that answered.'),
    ),
    gateway_ms: milliseconds('The rest: reading and parsing the request, pauses between tries.'),
    total_ms: milliseconds('From arrival to the end of the answer.'),
  },
  { description: 'Milliseconds: queue_ms + upstream_ms + gateway_ms = total_ms.' },
);

export const SSE = 'text/event-stream; charset=utf-8';

/** One line without a blank line after it: some clients take a comment that stands alone for an event. */
export const SSE_HEARTBEAT = ':\n';

/** `name`: its `event:` line, where the protocol has one. */
export function sseEvent(data: unknown, name?: string): string {
  const line = `data: ${JSON.stringify(data)}\n\n`;
  return name === undefined ? line : `event: ${name}\n${line}`;
}

/** Its `bytes` are exact; its text may not be. */
export function renderToken(token: LikelyToken) {
  return { token: tokenText(token), logprob: finiteLogprob(token), bytes: token.bytes };
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes that are no character by themselves become U+FFFD. */
export function tokenText({ bytes }: LikelyToken): string {
  // Most tokens are ASCII, and a decoder is slow for so few bytes.
  if (bytes.every((byte) => byte < 0x80)) return String.fromCharCode(...bytes);
  return decoder.decode(Uint8Array.from(bytes));
}

/** JSON has no infinity: a token less likely than this is as good as impossible. */
const MIN_LOGPROB = -9999;

export function finiteLogprob({ logprob }: LikelyToken): number {
  return Math.max(logprob, MIN_LOGPROB);
}

/** Undefined for text that is not, or not yet, a JSON object: a model's tool call may be cut off. */
export function parseJsonObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !isNestedTooDeeply(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
