/**
 * The engine's way of reading a text by a grammar: a set of stacks, each with the place to go on at on top. Equal
 * stacks are one stack. Owns its stacks and counts its steps; after the last one it says that it is exhausted.
 */

import { GRAMMAR_LIMITS } from '../limits.ts';
import { type CharacterSet, includes } from './character-set.ts';
import type { FlatGrammar } from './flat-grammar.ts';

/** Numbers of stacks, sorted. */
export type StackSet = readonly number[];

/**
 * Stacks, and in how many ways each has come about since the ways were last counted from one. Within a token the
 * engine follows each way on its own; only between tokens are equal stacks one.
 */
type PathCounts = ReadonlyMap<number, number>;

export function onePathEach(stacks: StackSet): PathCounts {
  return new Map(stacks.map((stack) => [stack, 1]));
}

export function countPaths(ways: PathCounts): number {
  let sum = 0;
  for (const count of ways.values()) sum += count;
  return sum;
}

type Element =
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  | { readonly kind: 'rule'; readonly index: number }
  | { readonly kind: 'end' };

interface Stack {
  /** Index of the element on top. */
  readonly top: number;
  readonly below: number;
}

/** The stack on which nothing is left: the text may end. */
const EMPTY = 0;
const END: Element = { kind: 'end' };

export class StackMachine {
  readonly #elements: Element[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #alternatives: (readonly number[])[];
  #stacks: Stack[] = [{ top: -1, below: -1 }];
  /** By the stack below and the element on top. */
  readonly #numbers = new Map<number, number>();
  /** What each stack becomes with any character it allows. */
  readonly #successors = new Map<number, StackSet>();
  readonly #limits: { readonly stacks: number };
  #stepsLeft: number;

  constructor({ rules }: FlatGrammar, limits: { readonly steps: number; readonly stacks: number }) {
    this.#stepsLeft = limits.steps;
    this.#limits = limits;
    this.#alternatives = rules.map(({ alternatives }) =>
      alternatives.map((symbols) => {
        const start = this.#elements.length;
        for (const symbol of symbols) this.#elements.push(symbol);
        this.#elements.push(END);
        return start;
      }),
    );
  }

  get exhausted(): boolean {
    return this.#stepsLeft <= 0;
  }

  /** Stacks that are known by now. */
  get size(): number {
    return this.#stacks.length;
  }

  /** So many steps are left from now on. */
  allow(steps: number): void {
    this.#stepsLeft = steps;
  }

  /** Forgets all stacks but these; gives their new numbers. */
  keepOnly(stacks: StackSet): StackSet {
    const old = this.#stacks;
    this.#stacks = [{ top: -1, below: -1 }];
    this.#numbers.clear();
    this.#successors.clear();
    return stacks.map((stack) => {
      const tops: number[] = [];
      for (let each = stack; each !== EMPTY; each = (old[each] as Stack).below)
        tops.push((old[each] as Stack).top);
      return tops.reduceRight((below, top) => this.#push(top, below), EMPTY);
    });
  }

  /** The stacks with which a rule is begun. */
  start(rule: number): StackSet {
    return this.#advance((this.#alternatives[rule] ?? []).map((start) => this.#push(start, EMPTY)));
  }

  /** Whether the text may end here. */
  mayEnd(stacks: StackSet): boolean {
    return stacks.includes(EMPTY);
  }

  nextCharacters(stacks: StackSet): readonly CharacterSet[] {
    return stacks.flatMap((stack) => {
      const element = this.#top(stack);
      return element.kind === 'characters' ? [element.set] : [];
    });
  }

  read(stacks: StackSet, codePoint: number): StackSet {
    const read: number[] = [];
    for (const stack of stacks) {
      const element = this.#top(stack);
      this.#stepsLeft -= 1;
      if (element.kind !== 'characters' || !includes(element.set, codePoint)) continue;
      const { top, below } = this.#stacks[stack] as Stack;
      read.push(this.#push(top + 1, below));
    }
    return this.#advance(read);
  }

  /** As the engine reads on within a token. */
  follow(ways: PathCounts, codePoint: number): PathCounts {
    const followed = new Map<number, number>();
    for (const [stack, count] of ways)
      for (const next of this.#after(stack, codePoint)) followed.set(next, (followed.get(next) ?? 0) + count);
    return followed;
  }

  /** How many ways are added by one more character of each way, whichever it allows. */
  countBranches(ways: PathCounts): number {
    let sum = 0;
    for (const [stack, count] of ways)
      if (this.#top(stack).kind === 'characters')
        sum += count * Math.max(0, this.#successorsOf(stack).length - 1);
    return sum;
  }

  #after(stack: number, codePoint: number): StackSet {
    const element = this.#top(stack);
    this.#stepsLeft -= 1;
    if (element.kind !== 'characters' || !includes(element.set, codePoint)) return [];
    return this.#successorsOf(stack);
  }

  #successorsOf(stack: number): StackSet {
    const known = this.#successors.get(stack);
    if (known !== undefined) return known;
    const { top, below } = this.#stacks[stack] as Stack;
    const successors = this.#advance([this.#push(top + 1, below)]);
    this.#successors.set(stack, successors);
    return successors;
  }

  /** Puts alternatives in the place of references until every stack has a character on top, or more than allowed have. */
  #advance(begun: readonly number[]): StackSet {
    const todo = [...begun];
    const seen = new Set<number>();
    const advanced = new Set<number>();
    for (let stack = todo.pop(); stack !== undefined; stack = todo.pop()) {
      if (seen.has(stack)) continue;
      seen.add(stack);
      this.#stepsLeft -= 1;
      const element = this.#top(stack);
      if (element.kind !== 'rule') {
        advanced.add(stack);
        if (advanced.size > this.#limits.stacks) break;
        continue;
      }
      const { top, below } = this.#stacks[stack] as Stack;
      const rest = this.#push(top + 1, below);
      for (const start of this.#alternatives[element.index] ?? []) todo.push(this.#push(start, rest));
    }
    return [...advanced].sort((left, right) => left - right);
  }

  #top(stack: number): Element {
    return this.#elements[(this.#stacks[stack] as Stack).top] ?? END;
  }

  /** The stack with that element on top of `below`; an end is never pushed. */
  #push(top: number, below: number): number {
    if (this.#elements[top]?.kind === 'end') return below;
    const key = below * this.#elements.length + top;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#stacks.push({ top, below }) - 1;
    this.#numbers.set(key, number);
    return number;
  }
}

/**
 * How much a token could cost: the engine tries every token of its vocabulary character by character, and within a
 * token it follows ways that have come together again one by one, so that two ways for each character are a thousand
 * after ten. Each way is also written out once for each beginning that its tokens share, with all the ways that follow
 * it: few ways at once are slow where each of them leads to many, character after character, as in palindromes. This
 * follows the texts on which the ways become most.
 */

export interface LookAhead {
  /** So far; tokens of words are shorter. */
  readonly characters: number;
  /** Texts followed beside each other: those with the most ways. */
  readonly texts: number;
  /** Characters tried after each text: those that go on in the most ways. */
  readonly choices: number;
}

interface FollowedText {
  readonly ways: PathCounts;
  /** Of the ways. */
  readonly count: number;
  /** Ways added by a further character, after each of the characters of `BRANCHING`, together. */
  readonly branches: number;
}

/** Characters after which branches are counted: the first is tried once for a token, the ones behind it again and again. */
const BRANCHING = { from: 1, to: 6 } as const;

/** The most ways found, or a number above the limit as soon as these or their branches are too many. */
export function maxPathsAhead(
  machine: StackMachine,
  stacks: StackSet,
  { characters, texts, choices }: LookAhead,
): number {
  let most = stacks.length;
  let now: readonly FollowedText[] = [{ ways: onePathEach(stacks), count: most, branches: 0 }];
  for (let read = 0; read < characters && now.length > 0 && !machine.exhausted; read++) {
    const counts = read >= BRANCHING.from && read <= BRANCHING.to;
    const after = new Map<string, FollowedText>();
    for (const { ways, branches: before } of now) {
      const branches = counts ? before + machine.countBranches(ways) : before;
      if (branches > GRAMMAR_LIMITS.branches) return GRAMMAR_LIMITS.stacks + 1;
      for (const codePoint of distinguishingCharacters(machine.nextCharacters([...ways.keys()]), choices)) {
        const next = machine.follow(ways, codePoint);
        const count = countPaths(next);
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
export function distinguishingCharacters(sets: readonly CharacterSet[], atMost: number): readonly number[] {
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
