import { describe, expect, it } from 'vitest';
import { excerpt, retryAfterSeconds } from '../../../src/upstream/untyped.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

describe('Retry-After', () => {
  it.each([
    [undefined, undefined],
    ['7', 7],
    ['0', 1],
    ['999999', 3600],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
    ['soon', undefined],
  ])('%s is read as %s seconds', (value, seconds) => {
    expect(retryAfterSeconds({ 'retry-after': value }, now)).toBe(seconds);
  });
});

it('cuts a long message, never within a character', () => {
  expect(excerpt('short')).toBe('short');
  expect(excerpt(`${'x'.repeat(499)}😀`)).toBe(`${'x'.repeat(499)}\u{fffd}…`);
});
