import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { decodeUtf8, isLarge, parseJson } from '../../../src/http/json-text.ts';

describe.each([
  ['small', 1],
  ['large', 40_000],
])('a %s body', (size, times) => {
  it.each(['a', 'ü', '語', '😀', 'a\u0000b', '\u2028', 'x😀ü語'])('of %j is decoded exactly', (piece) => {
    const text = piece.repeat(times * 2);
    const bytes = Buffer.from(text);
    expect(isLarge(bytes)).toBe(size === 'large');
    expect(decodeUtf8(bytes) === text).toBe(true);
  });

  it('may begin with a byte order mark', () => {
    const text = `{"a":"${'ü'.repeat(times * 2)}"}`;
    expect(decodeUtf8(Buffer.from(`\uFEFF${text}`)) === text).toBe(true);
  });

  it.each([
    ['a byte of Latin-1', Buffer.from([0xe4])],
    ['half a surrogate pair', Buffer.from([0xed, 0xa0, 0x80])],
    ['a character cut off', Buffer.from([0xe8, 0xaa])],
    ['an overlong slash', Buffer.from([0xc0, 0xaf])],
  ])('with %s is refused', (_, wrong) => {
    const bytes = Buffer.concat([Buffer.alloc(times * 2, 'a'), wrong]);
    expect(() => decodeUtf8(bytes)).toThrow('not valid UTF-8');
  });
});

it.each(['', ' ', '\n\t '.repeat(50_000)])('a body without a value is called empty', (text) => {
  expect(() => parseJson(text)).toThrow(
    new ServingError('invalid_json', { message: 'The body is empty. Send a JSON object.' }),
  );
});

it('what is no JSON is refused with what the parser found', () => {
  expect(() => parseJson('{"a":}')).toThrow(/^The body is not valid JSON: /);
});
