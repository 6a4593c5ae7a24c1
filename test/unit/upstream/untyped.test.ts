import { expect, it } from 'vitest';
import { retryAfterSeconds } from '../../../src/upstream/untyped.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

it.each([
  [undefined, 1],
  ['7', 7],
  ['0', 1],
  ['999999', 3600],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
  ['soon', 1],
])('reads %s as %d seconds', (value, seconds) => {
  expect(retryAfterSeconds({ 'retry-after': value }, now)).toBe(seconds);
});
