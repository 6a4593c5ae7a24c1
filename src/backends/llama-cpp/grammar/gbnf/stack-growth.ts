/**
 * The engine follows every way to read a text at once, one stack for each, and looks at its whole vocabulary for each
 * stack. A grammar that reads the same text in ever more ways stops it for good. This follows the stacks as the engine
 * does, over a bounded number of texts, those first on which they become more, from the root and from every rule.
 */

import { GRAMMAR_LIMITS } from '../limits.ts';
import { type CharacterSet, includes } from './character-set.ts';
import { type FlatGrammar, type FlatRule, GrammarProblem } from './flat-grammar.ts';
import { StackMachine, type StackSet } from './stack-machine.ts';

/** Characters tried from one set of stacks. */
const CHARACTERS_TRIED = 12;
/** Sets of stacks tried from the root, and from all other rules together, as long as each can have so many. */
const SETS_FROM_ROOT = 300;
const SETS_FROM_RULES = 200;
const SETS_FROM_RULE = 4;
/** Steps of all searches together: about a tenth of a second at the most. */
const STEPS = 300_000;

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
      `there are texts that the rule "${name}" can read in more than ${GRAMMAR_LIMITS.stacks} ways at once; let alternatives differ in how they begin, and put common beginnings in front of them`,
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
  if (!add(machine.start(start))) return false;
  for (let tried = 0; tried < sets && !machine.exhausted; tried++) {
    const stacks = fullest(waiting, tried % 2 === 0 ? 'newest' : 'oldest');
    if (stacks === undefined) return true;
    for (const codePoint of telling(machine.nextCharacters(stacks)))
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

/** One character for each group that no set tells apart; those in most sets first, and only so many. */
function telling(sets: readonly CharacterSet[]): readonly number[] {
  const counts = new Map<CharacterSet, number>();
  for (const set of sets) counts.set(set, (counts.get(set) ?? 0) + 1);
  const starts = new Set<number>();
  for (const set of counts.keys()) for (const { from, to } of set) starts.add(from).add(to + 1);
  const counted: { codePoint: number; count: number }[] = [];
  for (const codePoint of starts) {
    let count = 0;
    for (const [set, times] of counts) if (includes(set, codePoint)) count += times;
    if (count > 0) counted.push({ codePoint, count });
  }
  counted.sort((left, right) => right.count - left.count);
  return counted.slice(0, CHARACTERS_TRIED).map(({ codePoint }) => codePoint);
}
