/** A simplified grammar allows the same texts, and leaves the engine one way to follow where it can. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkLeftRecursion } from '../../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import { includes } from '../../../../../../src/backends/llama-cpp/grammar/gbnf/character-set.ts';
import {
  type FlatGrammar,
  nullableRules,
  productiveRules,
} from '../../../../../../src/backends/llama-cpp/grammar/gbnf/flat-grammar.ts';
import { writeGbnf } from '../../../../../../src/backends/llama-cpp/grammar/gbnf/grammar-builder.ts';
import { parseGbnf } from '../../../../../../src/backends/llama-cpp/grammar/gbnf/parser.ts';
import { simplify } from '../../../../../../src/backends/llama-cpp/grammar/gbnf/simplify.ts';
import {
  countPaths,
  onePathEach,
  packGrammar,
  StackMachine,
} from '../../../../../../src/backends/llama-cpp/grammar/gbnf/stack-machine.ts';
import { cpuMs } from '../../../../../support/cpu-time.ts';
import { grammars } from '../../../../../support/grammar-arbitrary.ts';
import { GrammarWalker } from '../../../../../support/grammar-walker.ts';
import { runs } from '../../../../../support/property-runs.ts';

const BOUNDS = { steps: 1_000_000, stacks: 2_000 };

/** Undefined where there are too many paths to tell. */
function accepts(grammar: FlatGrammar, text: string): boolean | undefined {
  const machine = new StackMachine(packGrammar(grammar), BOUNDS);
  let stacks = machine.start(grammar.root);
  for (const character of text) {
    stacks = machine.read(stacks, character.codePointAt(0) as number);
    if (stacks.length > BOUNDS.stacks) return undefined;
  }
  return machine.mayEnd(stacks);
}

/** The most paths on which the engine would read a character of the text, within one token. */
function maxPaths(grammar: FlatGrammar, text: string): number {
  const machine = new StackMachine(packGrammar(grammar), BOUNDS);
  let paths = onePathEach(machine.start(grammar.root));
  const counts = Array.from(text, (character) => {
    const codePoint = character.codePointAt(0) as number;
    const reading = Array.from(paths).filter(([stack]) =>
      machine.nextCharacters([stack]).some((set) => includes(set, codePoint)),
    );
    paths = machine.follow(paths, codePoint);
    return countPaths(new Map(reading));
  });
  return Math.max(...counts);
}

/** Undefined for what would be refused before it is simplified. */
function readable(gbnf: string): FlatGrammar | undefined {
  try {
    const grammar = parseGbnf(gbnf);
    if (productiveRules(grammar.rules).size < grammar.rules.length) return undefined;
    checkLeftRecursion(grammar, nullableRules(grammar.rules));
    return grammar;
  } catch {
    return undefined;
  }
}

const times = (count: number, part: string) => Array(count).fill(part).join(' | ');

/** Each with a text that it allows and that could be read in several ways. */
const AMBIGUOUS: readonly (readonly [what: string, gbnf: string, text: string])[] = [
  ['equal characters', `root ::= (${times(60, '[a-z ]')})*`, 'a long word'],
  ['equal groups', `root ::= (${times(8, '([a-z])')} | (([a-z])))*`, 'word'],
  ['equal rules', 'root ::= (a | b | c)+\na ::= [a-z]\nb ::= [a-z]\nc ::= b', 'word'],
  [
    'equal rules of equal rules',
    'root ::= (a | b)+\na ::= "x" c\nb ::= "x" d\nc ::= [yz]\nd ::= [yz]',
    'xyxz',
  ],
  ['equal rules that repeat', 'root ::= a | b\na ::= [a-z] a | "."\nb ::= [a-z] b | "."', 'word.'],
  ['nearly equal characters', 'root ::= ([a-z] | [a-y] | [a-x] | [^z])*', 'word'],
  ['common beginnings', 'root ::= "word one" | "word two" | "word three"', 'word two'],
  ['beginnings of one another', 'root ::= "a" | "ab" | "abc" | [a-z] "bd"', 'abc'],
  ['loops in loops', 'root ::= ([a-z]+)*', 'word'],
  ['a loop beside its element', 'root ::= (word | [a-z])*\nword ::= [a-z]+', 'word'],
  ['what may be left out, again and again', `root ::= ${Array(20).fill('"a"?').join(' ')}`, 'aaaaa'],
  ['very often', `root ::= "(" ${Array(300).fill('[a-z ]?').join(' ')} ")"`, `(${'a'.repeat(300)})`],
  ['loops of one kind in a row', `root ::= ${Array(30).fill('[a-z]*').join(' ')} "!"`, 'aaaaaa!'],
  ['two of what may be left out, in turn', 'root ::= ("a"? "a"? "b"? "b"?){3} "!"', 'abbab!'],
  ['loops one after the other', 'root ::= [a-z]* [a-y]* [a-x]* "!"', 'aaaaaa!'],
  ['the same rule in front', 'root ::= v "1" | v "2" | "[" "]"\nv ::= "[" v "]" | "x"', '[[x]]2'],
  ['the same recursion twice', 'root ::= "a" root "b" | "a" root "c" | "d"', 'aadcb'],
];

describe('a simplified grammar', () => {
  it.each(AMBIGUOUS)('reads %s in one way', (_, gbnf, text) => {
    const simple = simplify(parseGbnf(gbnf));
    expect(accepts(simple, text)).toBe(true);
    expect(maxPaths(simple, text)).toBe(1);
  });

  it('is the grammar itself where nothing can be read in two ways', () => {
    const grammar = parseGbnf(
      'root ::= "[" (value ("," value)*)? "]"\nvalue ::= [0-9]+ | root | "\\"" [a-z]* "\\""',
    );
    expect(simplify(grammar)).toBe(grammar);
  });

  it('is soon there, or given up soon', () => {
    const hostile = [
      `root ::= ${Array.from({ length: 200 }, (_, index) => `[a-z]{${index}} "${index}"`).join(' | ')}`,
      `root ::= [ab]* "a" [ab]{18}`,
      `root ::= ${Array(300).fill('[a-z]?').join(' ')}`,
      `root ::= ${Array.from({ length: 5000 }, (_, index) => `"${'x'.repeat(20)}${index}"`).join(' | ')}`,
    ];
    const start = cpuMs();
    for (const gbnf of hostile) expect(simplify(parseGbnf(gbnf)).rules.length).toBeGreaterThan(0);
    expect(cpuMs() - start).toBeLessThan(10_000);
  });

  it('allows the same texts', () => {
    fc.assert(
      fc.property(grammars(), fc.infiniteStream(fc.nat()), (gbnf, numbers) => {
        const grammar = readable(gbnf);
        fc.pre(grammar !== undefined);
        const random = (limit: number) => (numbers.next().value as number) % limit;
        const simple = simplify(grammar as FlatGrammar);
        const written = parseGbnf(writeGbnf(simple));
        const [theirs, ours] = [grammar as FlatGrammar, simple].map((from) => new GrammarWalker(from));
        const agree = (text: string) => {
          const verdicts = [grammar as FlatGrammar, simple, written].map((each) => accepts(each, text));
          const told = new Set(verdicts.filter((verdict) => verdict !== undefined));
          expect([text, verdicts, told.size <= 1]).toEqual([text, verdicts, true]);
        };
        for (let count = 0; count < 3; count++) {
          const text = theirs?.text(random, 8) ?? '';
          expect([text, accepts(simple, text)]).not.toEqual([text, false]);
          agree(text);
          agree(ours?.text(random, 8) ?? '');
          const cut = random(text.length + 1);
          agree(`${text.slice(0, cut)}${'abcx'[random(4)]}${text.slice(cut)}`);
        }
      }),
      runs(60),
    );
  });
});
