/** Embeddings as upstreams answer them: what is missing or no vector is their fault, and never passed on. */

import { ServingError } from '../core/errors.ts';
import type { ResponseHeaders } from './exchange.ts';

/** One vector for each of `count` texts, all of one length. */
export function readVectors(answered: readonly unknown[], count: number): readonly (readonly number[])[] {
  const vectors = answered.map((vector) => asArray(vector) as readonly number[]);
  const size = vectors[0]?.length;
  const isSound = (vector: readonly number[]) => vector.length === size && vector.every(Number.isFinite);
  if (vectors.length === count && size !== undefined && size > 0 && vectors.every(isSound)) return vectors;
  throw new ServingError('backend_error', {
    message: 'The model’s backend did not answer with one vector for each text.',
  });
}

/** Reading what upstreams answer without trusting its shape: what is not as expected is simply absent. */
export type UntypedObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is UntypedObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asObject(value: unknown): UntypedObject {
  return isObject(value) ? value : {};
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Empty text counts as none. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function asCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Reads an upstream's Retry-After: seconds or a date. Whole seconds, at least 1, at most an hour. */

const MAX_RETRY_AFTER_SECONDS = 3600;

export function retryAfterSeconds(headers: ResponseHeaders, wallNowMs: number): number {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return 1;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - wallNowMs) / 1000;
  return Number.isNaN(seconds) ? 1 : Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(seconds)));
}

/** What a server says, as far as it is passed on to clients and logs: it may repeat a whole request. */

const MAX_EXCERPT_LENGTH = 500;

export function excerpt(words: string): string {
  return words.length <= MAX_EXCERPT_LENGTH ? words : `${words.slice(0, MAX_EXCERPT_LENGTH).toWellFormed()}…`;
}
