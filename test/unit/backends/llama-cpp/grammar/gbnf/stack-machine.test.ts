/** A grammar in lists of numbers, and the paths on which the engine reads a text by it. */
import { describe, expect, it } from 'vitest';
import { parseGbnf } from '../../../../../../src/backends/llama-cpp/grammar/gbnf/parser.ts';
import {
  maxPathsAhead,
  packGrammar,
  StackMachine,
} from '../../../../../../src/backends/llama-cpp/grammar/gbnf/stack-machine.ts';

const BOUNDS = { steps: 100_000, stacks: 256 };
const AHEAD = { characters: 8, texts: 4, choices: 4 };

const machineFor = (gbnf: string) => {
  const packed = packGrammar(parseGbnf(gbnf));
  const machine = new StackMachine(packed, BOUNDS);
  return { machine, start: machine.start(packed.root) };
};

function allows(gbnf: string, text: string): boolean {
  const { machine, start } = machineFor(gbnf);
  let stacks = start;
  for (const character of text) stacks = machine.read(stacks, character.codePointAt(0) as number);
  return machine.mayEnd(stacks);
}

describe('a packed grammar', () => {
  it('is plain JSON, and keeps each character set once', () => {
    const packed = packGrammar(parseGbnf('root ::= "aba" list\nlist ::= ("b" list)?'));
    expect(JSON.parse(JSON.stringify(packed))).toEqual(packed);
    expect(packed.sets).toHaveLength(2);
    expect(packed.rules.at(-1)).toBe(packed.alternatives.length);
  });

  it.each([
    ['root ::= "a" | "ab"', 'ab', true],
    ['root ::= "a" | "ab"', 'b', false],
    ['root ::= "(" root? ")"', '((()))', true],
    ['root ::= "(" root? ")"', '((())', false],
    ['root ::= [a-c]{2,3}', 'abca', false],
  ])('of %s allows %s: %s', (gbnf, text, allowed) => {
    expect(allows(gbnf, text)).toBe(allowed);
  });
});

describe('the stacks', () => {
  it('that are kept read on as before', () => {
    const { machine, start } = machineFor('root ::= "(" root? ")"');
    const deep = machine.read(machine.read(start, 0x28), 0x28);
    const kept = machine.keepOnly(deep);
    const end = machine.read(machine.read(kept, 0x29), 0x29);
    expect(machine.mayEnd(end)).toBe(true);
  });

  it('ahead are one where the texts do not differ, and many where each character has two paths', () => {
    const one = machineFor('root ::= [a-z]*');
    expect(maxPathsAhead(one.machine, one.start, AHEAD)).toBeLessThanOrEqual(2);
    const many = machineFor('root ::= ([a-z] | "a")*');
    expect(maxPathsAhead(many.machine, many.start, AHEAD)).toBeGreaterThan(100);
  });

  it('say when their steps are used up', () => {
    const { machine, start } = machineFor('root ::= [a-z]*');
    machine.allow(1);
    machine.read(start, 0x61);
    expect(machine.exhausted).toBe(true);
  });
});
