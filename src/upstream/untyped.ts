/** Reading what upstreams answer without trusting its shape: what is not as expected counts as absent. */
import { ServingError } from '../core/errors.ts';

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;
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

/** An empty text counts as none. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function asCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** One vector for each of `count` texts, all of one length. Anything else is the server's fault: a `backend_error`. */
export function asVectors(values: readonly unknown[], count: number): readonly (readonly number[])[] {
  const vectors = values.map((vector) => asArray(vector) as readonly number[]);
  const size = vectors[0]?.length;
  const isValid = (vector: readonly number[]) => vector.length === size && vector.every(Number.isFinite);
  if (vectors.length === count && size !== undefined && size > 0 && vectors.every(isValid)) return vectors;
  throw new ServingError('backend_error', {
    message: 'The model’s backend did not answer with one vector for each text.',
    failure: 'garbage',
  });
}

const MAX_RETRY_AFTER_SECONDS = 3600;

/** From the header, seconds or a date. Whole seconds, at least 1, at most an hour. Undefined: the server does not say. */
export function retryAfterSeconds(headers: ResponseHeaders, wallNowMs: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - wallNowMs) / 1000;
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(seconds)));
}

const MAX_EXCERPT_LENGTH = 500;

/** A server's message as it is passed on to clients and logs: it may repeat a whole request. */
export function excerpt(message: string): string {
  if (message.length <= MAX_EXCERPT_LENGTH) return message;
  return `${message.slice(0, MAX_EXCERPT_LENGTH).toWellFormed()}…`;
}
