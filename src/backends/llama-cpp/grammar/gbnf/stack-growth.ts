/**
 * The engine follows every way to read a text at once, one stack for each, and looks at its whole vocabulary for each
 * stack. A grammar that reads the same text in ever more ways stops it for good. This follows the stacks as the engine
 * does, over a bounded number of texts, those first on which they become more, from the root and from every rule; and
 * from each place on it looks ahead as far as a token reaches.
 */

import { GRAMMAR_LIMITS } from '../limits.ts';
import { overlapping } from './character-overlaps.ts';
import { type FlatGrammar, type FlatRule, GrammarProblem } from './flat-grammar.ts';
import { type LookAhead, mostWaysAhead, tellingCharacters } from './look-ahead.ts';
import { StackMachine, type StackSet } from './stack-machine.ts';

/** Characters tried from one set of stacks. */
const CHARACTERS_TRIED = 12;
/** Sets of stacks tried from the root, and from all other rules together, as long as each can have so many. */
const SETS_FROM_ROOT = 300;
const SETS_FROM_RULES = 200;
const SETS_FROM_RULE = 4;
/** Steps of all searches together: some hundredths of a second. */
const STEPS = 200_000;
/** From where a rule begins, and from the places found after it. */
const AHEAD_OF_START: LookAhead = { characters: 32, texts: 8, choices: 8 };
const AHEAD_OF_PLACE: LookAhead = { characters: 12, texts: 1, choices: 2 };

export function checkStackGrowth(grammar: FlatGrammar): void {
  const machine = new StackMachine(grammar, { steps: STEPS, stacks: GRAMMAR_LIMITS.stacks });
  const named = new Map(grammar.rules.map(({ name }, index) => [name, index] as const).reverse());
  const setsOfEach = Math.max(Math.floor(SETS_FROM_RULES / named.size), SETS_FROM_RULE);
  const starts = [...named.values()].slice(0, SETS_FROM_RULES / SETS_FROM_RULE);
  for (const start of new Set([grammar.root, ...starts])) {
    if (machine.exhausted) return;
    const sets = start === grammar.root ? SETS_FROM_ROOT : setsOfEach;
    if (staysSmall(machine, { start, sets })) continue;
    const { name, line } = grammar.rules[start] as FlatRule;
    throw new GrammarProblem(
      line,
      `there are texts that the rule "${name}" can read, or go on with, in too many ways at once; let alternatives differ in how they begin, and put common beginnings in front of them`,
    );
  }
}

function staysSmall(machine: StackMachine, { start, sets }: { start: number; sets: number }): boolean {
  const seen = new Set<string>();
  /** By the number of stacks; the fullest are tried first. */
  const waiting: StackSet[][] = [];
  const add = (stacks: StackSet): boolean => {
    if (stacks.length > GRAMMAR_LIMITS.stacks) return false;
    const key = stacks.join(' ');
    if (stacks.length > 0 && !seen.has(key)) {
      seen.add(key);
      waiting[stacks.length] ??= [];
      waiting[stacks.length]?.push(stacks);
    }
    return true;
  };
  const begun = machine.start(start);
  if (!add(begun) || mostWaysAhead(machine, begun, AHEAD_OF_START) > GRAMMAR_LIMITS.stacks) return false;
  for (let tried = 0; tried < sets && !machine.exhausted; tried++) {
    const stacks = fullest(waiting, tried % 2 === 0 ? 'newest' : 'oldest');
    if (stacks === undefined) return true;
    if (
      overlapping(machine.nextCharacters(stacks)).size > 0 &&
      mostWaysAhead(machine, stacks, AHEAD_OF_PLACE) > GRAMMAR_LIMITS.stacks
    )
      return false;
    for (const codePoint of tellingCharacters(machine.nextCharacters(stacks), CHARACTERS_TRIED))
      if (!add(machine.read(stacks, codePoint))) return false;
  }
  return true;
}

/** Newest and oldest in turn: some texts grow by going on as they began, others only by something new. */
function fullest(waiting: StackSet[][], which: 'newest' | 'oldest'): StackSet | undefined {
  for (let size = waiting.length - 1; size > 0; size--) {
    const stacks = which === 'newest' ? waiting[size]?.pop() : waiting[size]?.shift();
    if (stacks !== undefined) return stacks;
  }
  return undefined;
}
