/** Regular expressions of whole texts, and choices among texts: what their grammars allow, and what is refused. */
import { describe, expect, it } from 'vitest';
import { choiceGrammar, regexGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';

const engine = await grammarEngine();

const REGEXES: readonly (readonly [regex: string, valid: readonly string[], invalid: readonly string[]])[] = [
  ['a+b', ['ab', 'aaab'], ['b', 'xab', 'abx', 'ab\n']],
  ['^a+b$', ['ab'], ['xab', 'abx']],
  ['^yes$|^no$', ['yes', 'no'], ['yesno', 'y']],
  ['yes|no|', ['yes', 'no', ''], ['maybe']],
  ['(a|b){2}', ['ab', 'bb'], ['a', 'aba']],
  ['\\w+@\\w+\\.com\\n', ['me@there.com\n'], ['me@there.com', 'me@thereXcom\n']],
  ['"[^"\\\\]*"', ['"a b"', '"ä\n"'], ['"a"b"', 'a']],
  ['(?P<year>[0-9]{4})\\-(?:0[1-9]|1[0-2])', ['2026-11'], ['2026-13', '202611']],
  ['[(?P<]\\[(?P<n>a)', ['P[a', '<[a'], ['([b', 'x[a']],
  ['\\[\\d\\]\\#\\ \\\\', ['[1]# \\'], ['[1]#\\', '[a]# \\']],
  ['.{1,3}', ['a', '🦊🌍é'], ['', 'abcd']],
];

describe('a regular expression of the whole text', () => {
  it.for(REGEXES)('allows what it matches: %s', async ([regex, valid, invalid], context) => {
    const { gbnf } = regexGrammar(regex);
    const reader = engineOrSkip(engine, context);
    for (const text of valid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
    for (const text of invalid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, false]);
  });

  it.each([
    ['a(', 'is not a valid regular expression'],
    ['(?=a)b', 'look-around'],
    ['(a)\\1', 'not supported'],
    ['a\\b', 'not supported'],
    ['a$b', 'only at the end of an alternative'],
    ['(a$)', 'only at its end'],
    ['a{5000}', 'repeats more than'],
    ['x'.repeat(600), 'has 600 characters'],
    ['(a*)*', 'repeat'],
    ['$', 'nothing but the empty text'],
  ])('is refused where a grammar cannot express it: %s', (regex, message) => {
    expect(() => regexGrammar(regex)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        param: 'regex',
        message: expect.stringContaining(message),
      }),
    );
  });
});

describe('a choice among texts', () => {
  it('allows exactly those, whatever characters they have', async (context) => {
    const choices = ['positive', 'pos', 'negative', 'say "no"\\', '日本\n', 'pos'];
    const { gbnf } = choiceGrammar(choices);
    const reader = engineOrSkip(engine, context);
    for (const text of choices) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
    for (const text of ['', 'posi', 'positives', 'no'])
      expect([text, await reader.accepts(gbnf, text)]).toEqual([text, false]);
  });

  it('may have a thousand texts that begin alike, and one that is empty', async (context) => {
    const choices = ['', ...Array.from({ length: 999 }, (_, index) => `the ${index}`)];
    const { gbnf } = choiceGrammar(choices);
    const reader = engineOrSkip(engine, context);
    for (const text of ['', 'the 0', 'the 998']) expect(await reader.accepts(gbnf, text)).toBe(true);
    expect(await reader.accepts(gbnf, 'the 999')).toBe(false);
  });

  it.each([
    [[''], 'has no text'],
    [Array.from({ length: 1001 }, (_, index) => `${index}`), 'has 1001 entries'],
    [['x'.repeat(70_000)], 'has 70000 characters'],
  ])('is refused where it is none, or too large', (choices, message) => {
    expect(() => choiceGrammar(choices)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        param: 'choice',
        message: expect.stringContaining(message),
      }),
    );
  });
});
