/** A client's own grammar: what passes, the engine reads; what the engine cannot read, or would die of, is refused. */

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkGrammar, parseChecked } from '../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import { GRAMMAR_LIMITS } from '../../../../../src/backends/llama-cpp/grammar/limits.ts';
import { grammars } from '../../../../support/grammar-arbitrary.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { GrammarWalker } from '../../../../support/grammar-walker.ts';
import { runs } from '../../../../support/property-runs.ts';

const engine = await grammarEngine();
const repeat = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

const GOOD: readonly (readonly [
  what: string,
  gbnf: string,
  valid: readonly string[],
  invalid: readonly string[],
])[] = [
  ['strings and alternatives', 'root ::= "yes" | "no"', ['yes', 'no'], ['y', 'yesno']],
  ['rules, comments and blank lines', '# one\nroot ::= a # two\n\n\na ::= "x"\r\nb ::= "y"', ['x'], ['y']],
  ['alternatives over several lines', 'root ::=\n  "a" |\n  "b" | (\n "c"\n | "d" )', ['a', 'd'], ['e']],
  ['an empty alternative', 'root ::= "a" (| "b")', ['a', 'ab'], ['b']],
  ['classes', 'root ::= [a-c\\]_-] [^x\\n] .', ['a!\n', ']y_', '-zz'], ['axx', 'dyy']],
  ['escapes', 'root ::= "\\x41\\u00e9\\U0001F600\\"\\\\\\t\\r\\n"', ['Aé😀"\\\t\r\n'], ['A']],
  [
    'repetitions',
    'root ::= "a"* "b"+ "c"? [d]{2} "e"{1,} "f"{0,2}',
    ['bdde', 'aabbcddeeff'],
    ['bde', 'bddefff'],
  ],
  ['repetitions of groups', 'root ::= ("a" "b"){2,3}', ['abab', 'ababab'], ['ab', 'aba']],
  ['repetitions of repetitions', 'root ::= "a"{2}{3}', ['aaaaaa'], ['aaaaa']],
  ['recursion that ends', 'root ::= "(" root ")" | "x"', ['x', '((x))'], ['(x', '()']],
  ['names with digits and dashes', 'root ::= a-1B\na-1B ::= "x"', ['x'], ['y']],
  ['one recursion with two ends', 'root ::= "a" root "b" | "a" root "c" | "d"', ['aadcb', 'd'], ['aadb']],
  [
    'hundreds of words',
    `root ::= ${Array.from({ length: 300 }, (_, n) => `"w${n}"`).join(' | ')}`,
    ['w0', 'w29', 'w299'],
    ['w300', 'w'],
  ],
  ['equal ways', `root ::= (${Array(60).fill('[a-z ]').join(' | ')})*`, ['', 'words and words'], ['Word']],
  ['the largest repetition', 'root ::= "a"{1999}', ['a'.repeat(1999)], ['a'.repeat(1998)]],
];

const BAD: readonly (readonly [what: string, gbnf: string, message: RegExp])[] = [
  ['nothing', '', /is empty/],
  ['only spaces', ' \n ', /is empty/],
  ['only a comment', '# root ::= "a"', /no rule named "root"/],
  ['no root', 'a ::= "x"', /no rule named "root"/],
  ['an undefined rule', 'root ::= "a" |\n  b', /line 2: the rule "b" is used but not defined/],
  ['a rule defined twice', 'root ::= "a"\nroot ::= "b"', /line 2: .*second time/],
  ['no arrow', 'root = "a"', /expected "::="/],
  ['an underscore in a name', 'root ::= a_b', /expected a new line after the rule, found "_"/],
  ['no closing quote', 'root ::= "a', /no closing quote/],
  ['no closing bracket', 'root ::= [a', /no closing bracket/],
  ['no closing parenthesis', 'root ::= (\n"a"', /"\)" for the "\(" of line 1/],
  ['a closing parenthesis too many', 'root ::= "a")', /found "\)"/],
  ['an unknown escape', 'root ::= "\\d"', /escape \\d is not known/],
  ['a short escape', 'root ::= "\\u12"', /4 hexadecimal digits/],
  ['a code point too large', 'root ::= "\\U00110000"', /no character/],
  ['U+0000', 'root ::= "\\x00"', /U\+0000/],
  ['U+0000 in the text itself', 'root ::= "a"\0', /U\+0000/],
  ['a surrogate', 'root ::= [\\uD800-\\uDFFF]', /surrogate/],
  ['an empty class', 'root ::= []', /class is empty/],
  ['a negated empty class', 'root ::= [^]', /class is empty/],
  ['a range upside down', 'root ::= [z-a]', /upside down/],
  ['a token', 'root ::= <think>', /tokens/],
  ['a token id', 'root ::= !<[12]>', /tokens/],
  ['a repetition of nothing', 'root ::= *', /something before it/],
  ['a repetition of an empty string', 'root ::= ""?', /something before it/],
  ['counts upside down', 'root ::= "a"{5,3}', /at least 5 and at most 3/],
  ['counts without a number', 'root ::= "a"{,3}', /a number in the repetition/],
  ['a large count', 'root ::= "a"{2000}', /too large/],
  ['a large optional count', 'root ::= "a"{0,5000}', /too large/],
  ['counts that multiply', 'root ::= ("a"{0,50}){0,50}', /too large/],
  ['many rules in a repeated group', 'root ::= (a b c){0,500}\na ::= "a"\nb ::= "b"\nc ::= "c"', /too large/],
  ['left recursion', 'root ::= root "a" | "b"', /left-recursive/],
  [
    'left recursion through others',
    'root ::= a\na ::= b "x" | "y"\nb ::= a',
    /"a" is left-recursive through "a", "b"/,
  ],
  [
    'left recursion behind what can be empty',
    'root ::= n root "x" | "y"\nn ::= m\nm ::= "a" |',
    /left-recursive/,
  ],
  ['left recursion in a rule that is not used', 'root ::= "x"\na ::= a "x" | "y"', /left-recursive/],
  ['a loop of what can be empty', 'root ::= ("a"*)*', /can be empty/],
  ['a loop of nothing', 'root ::= (""*)*', /something before it/],
  ['a loop of an empty group', 'root ::= ("")*', /can be empty/],
  ['no end', 'root ::= "a" root', /"root" can never end/],
  [
    'no end on one of the ways',
    'root ::= "x" | "a" loop\nloop ::= "b" loop',
    /line 2: the rule "loop" can never end|line 1: the rule "loop" can never end/,
  ],
  ['no text but the empty one', 'root ::= a | a a\na ::= ""', /nothing but the empty text/],
  ['groups nested deep', `root ::= ${'('.repeat(20_000)}"a"${')'.repeat(20_000)}`, /nested more than 32/],
  [
    'rules that begin with one another',
    `root ::= r0\n${repeat(22, (n) => `r${n} ::= "b" | r${n + 1} | "c" r${n} | r${n + 1} "a"`)}\nr22 ::= "a"`,
    /begin with one another/,
  ],
  [
    'a long chain of rules',
    `root ::= r0\n${repeat(9000, (n) => `r${n} ::= r${n + 1}`)}\nr9000 ::= "a"`,
    /begin with one another/,
  ],
  ['twice as many ways with each character', 'root ::= "a" root root? "b"? | "d"', /too many ways at once/],
  ['one way more with each character', 'root ::= "a" root? "b"?', /too many ways at once/],
  [
    'many ways that only the end tells apart',
    'root ::= a*\na ::= "(" a* ")" ")"? | "[" a* "]" "]"?',
    /too many ways at once/,
  ],
  ['a long text', `root ::= "${'a'.repeat(GRAMMAR_LIMITS.characters)}"`, /At most 262144/],
  ['many elements', `root ::= "${'a'.repeat(250_000)}"`, /more than 200000 elements/],
  ['many rules', `root ::= "b"\n${repeat(60, (n) => `r${n} ::= "a"{0,1000}`)}`, /more than 50000 rules/],
];

describe('a client’s own grammar', () => {
  it.for(GOOD)('may have %s', async ([_, gbnf, valid, invalid], context) => {
    expect(() => checkGrammar(gbnf)).not.toThrow();
    const reader = engineOrSkip(engine, context);
    for (const text of valid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
    for (const text of invalid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, false]);
  });

  it.each(BAD)('must not have %s', (_, gbnf, message) => {
    expect(() => checkGrammar(gbnf)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        param: 'grammar',
        message: expect.stringMatching(message),
      }),
    );
  });

  it('passes when it is one of llama.cpp’s own examples', (context) => {
    const folder = 'node_modules/node-llama-cpp/llama/grammars';
    const names = filesIn(folder).filter((name) => name.endsWith('.gbnf'));
    if (names.length === 0) context.skip('node-llama-cpp is not installed');
    for (const name of names)
      expect(() => checkGrammar(readFileSync(`${folder}/${name}`, 'utf8'))).not.toThrow();
  });

  it('is read as the engine reads it', async (context) => {
    const reader = engineOrSkip(engine, context);
    await fc.assert(
      fc.asyncProperty(grammars(), fc.infiniteStream(fc.nat()), async (gbnf, numbers) => {
        const read = attempt(() => parseChecked(gbnf));
        fc.pre(read !== undefined);
        const walker = new GrammarWalker((read as NonNullable<typeof read>).flat);
        const text = walker.text((limit) => (numbers.next().value as number) % limit);
        expect(await reader.accepts(gbnf, text)).toBe(true);
      }),
      runs(50),
    );
  });
});

function filesIn(folder: string): readonly string[] {
  return attempt(() => readdirSync(folder)) ?? [];
}

function attempt<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
