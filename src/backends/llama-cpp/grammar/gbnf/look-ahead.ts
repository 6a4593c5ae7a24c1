/**
 * How much a token could cost: the engine tries every token of its vocabulary character by character, and within a
 * token it follows ways that have come together again one by one, so that two ways for each character are a thousand
 * after ten. Each way is also written out once for each beginning that its tokens share, with all the ways that follow
 * it: few ways at once are slow where each of them leads to many, character after character, as in palindromes. This
 * follows the texts on which the ways become most.
 */
import { GRAMMAR_LIMITS } from '../limits.ts';
import { type CharacterSet, includes } from './character-set.ts';
import { countWays, type StackMachine, type StackSet, type Ways, waysOf } from './stack-machine.ts';

export interface LookAhead {
  /** So far; tokens of words are shorter. */
  readonly characters: number;
  /** Texts followed beside each other: those with the most ways. */
  readonly texts: number;
  /** Characters tried after each text: those that go on in the most ways. */
  readonly choices: number;
}

interface FollowedText {
  readonly ways: Ways;
  /** Of the ways. */
  readonly count: number;
  /** Ways added by a further character, after each of the characters of `BRANCHING`, together. */
  readonly branches: number;
}

/** Characters after which branches are counted: the first is tried once for a token, the ones behind it again and again. */
const BRANCHING = { from: 1, to: 6 } as const;

/** The most ways found, or a number above the limit as soon as these or their branches are too many. */
export function mostWaysAhead(
  machine: StackMachine,
  stacks: StackSet,
  { characters, texts, choices }: LookAhead,
): number {
  let most = stacks.length;
  let now: readonly FollowedText[] = [{ ways: waysOf(stacks), count: most, branches: 0 }];
  for (let read = 0; read < characters && now.length > 0 && !machine.exhausted; read++) {
    const counts = read >= BRANCHING.from && read <= BRANCHING.to;
    const after = new Map<string, FollowedText>();
    for (const { ways, branches: before } of now) {
      const branches = counts ? before + machine.countBranches(ways) : before;
      if (branches > GRAMMAR_LIMITS.branches) return GRAMMAR_LIMITS.stacks + 1;
      for (const codePoint of tellingCharacters(machine.nextCharacters([...ways.keys()]), choices)) {
        const next = machine.follow(ways, codePoint);
        const count = countWays(next);
        most = Math.max(most, count);
        if (most > GRAMMAR_LIMITS.stacks) return most;
        const key = [...next.keys()].join(' ');
        if ((after.get(key)?.count ?? 0) < count) after.set(key, { ways: next, count, branches });
      }
    }
    now = [...after.values()].sort((one, other) => other.count - one.count).slice(0, texts);
  }
  return most;
}

/** One character for each group that no set tells apart; those in most sets first, and only so many. */
export function tellingCharacters(sets: readonly CharacterSet[], atMost: number): readonly number[] {
  const [only] = sets;
  if (sets.length === 1 && only?.[0] !== undefined) return [only[0].from];
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
  return counted.slice(0, atMost).map(({ codePoint }) => codePoint);
}
