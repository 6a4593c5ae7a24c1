import { expect, it } from 'vitest';
import { printableLine, printableText } from '../../../src/core/log.ts';

it.each([
  ['plain — ü 語 😀', 'plain — ü 語 😀'],
  ['\u001b[2J\u001b]0;title\u0007', '\\u001b[2J\\u001b]0;title\\u0007'],
  ['a\rb\u0000\u007f', 'a\\u000db\\u0000\\u007f'],
  ['\u009b31m', '\\u009b31m'],
  ['gguf.\u202etxt', 'gguf.\\u202etxt'],
  ['a\nb\tc', 'a\\u000ab\\u0009c'],
  ['a\u2028b', 'a\\u2028b'],
])('%j becomes one harmless line', (text, shown) => {
  expect(printableLine(text)).toBe(shown);
});

it('several lines stay several', () => {
  expect(printableText('a\nb\tc\r\n\u001b[1m')).toBe('a\nb\tc\\u000d\n\\u001b[1m');
});

it('JSON stays JSON of the same value', () => {
  const value = { name: 'x\u009b\u202e\u007f\n\u001b' };
  const shown = printableText(JSON.stringify(value, null, 2));
  expect(JSON.parse(shown)).toEqual(value);
  expect(shown).not.toMatch(/[\u007f-\u009f\u202e]/);
});
