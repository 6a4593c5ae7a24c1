/** Reads an upstream's Retry-After: seconds or a date. Whole seconds, at least 1, at most an hour. */
import type { ResponseHeaders } from './exchange.ts';

const LONGEST_SECONDS = 3600;

export function retryAfterSeconds(headers: ResponseHeaders, wallNowMs: number): number {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return 1;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - wallNowMs) / 1000;
  return Number.isNaN(seconds) ? 1 : Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil(seconds)));
}
