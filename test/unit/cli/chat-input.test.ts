import { expect, it } from 'vitest';
import { ChatInput } from '../../../src/cli/chat-input.ts';

it.each([
  ['one line', ['hello'], ['hello']],
  ['lines with a backslash at the end', ['one\\', 'two\\', 'three'], ['one\ntwo\nthree']],
  ['two backslashes are no continuation', ['C:\\\\'], ['C:\\\\']],
  ['a fence over lines', ['"""', 'one', '', 'two', '"""'], ['one\n\ntwo']],
  ['text on the lines of the fence', ['"""one', 'two"""'], ['one\ntwo']],
  ['a fence on one line', ['"""one"""'], ['one']],
  ['a backslash inside a fence is text', ['"""', 'one\\', '"""'], ['one\\']],
  ['a fence in the middle of a text is text', ['what is """?'], ['what is """?']],
  ['one text after another', ['"""a', 'b"""', 'c'], ['a\nb', 'c']],
])('%s', (_what, lines, texts) => {
  const input = new ChatInput();
  expect(lines.map((line) => input.push(line)).filter((text) => text !== undefined)).toEqual(texts);
  expect(input.isOpen).toBe(false);
});

it('pasted lines are one text, sent with the line that is entered', () => {
  const input = new ChatInput();
  expect(input.push('first', { pasted: true })).toBeUndefined();
  expect(input.push('second', { pasted: true })).toBeUndefined();
  expect(input.isOpen).toBe(true);
  expect(input.push('third')).toBe('first\nsecond\nthird');
});

it('a text that was begun can be discarded', () => {
  const input = new ChatInput();
  input.push('"""one');
  expect(input.discard()).toBe(true);
  expect(input.push('two')).toBe('two');
  expect(input.discard()).toBe(false);
});

it('the end of the input ends a text that was begun', () => {
  const input = new ChatInput();
  input.push('"""one');
  input.push('two');
  expect(input.end()).toBe('one\ntwo');
  expect(input.end()).toBeUndefined();
});
