/**
 * Reads a text by a grammar as the engine does: a set of stacks, each with the next element to match on top. Equal
 * stacks are one stack. Owns its stacks, and the steps that it may still take.
 *
 * `maxPathsAhead` estimates with it what a token may cost: the engine tries every token of its vocabulary character by
 * character, and within a token it follows stacks that have become equal one by one, so that two paths for each
 * character are a thousand after ten.
 */
import { GRAMMAR_LIMITS } from '../limits.ts';
import { type CharacterSet, includes } from './character-set.ts';
import type { FlatGrammar } from './flat-grammar.ts';

/**
 * A flat grammar in lists of numbers: quick to send to another process and to use there. An element is a rule's number,
 * -1 at the end of an alternative, or -2 - n for one character of the set n.
 */
export interface PackedGrammar {
  readonly elements: readonly number[];
  /** Where the alternatives begin in `elements`, rule after rule. */
  readonly alternatives: readonly number[];
  /** Where the alternatives of each rule begin in `alternatives`; at the end, their number. */
  readonly rules: readonly number[];
  readonly sets: readonly CharacterSet[];
  /** Number of the rule `root`. */
  readonly root: number;
}

const END = -1;
const FIRST_SET = -2;

export function packGrammar({ rules, root }: FlatGrammar): PackedGrammar {
  const elements: number[] = [];
  const alternatives: number[] = [];
  const ruleStarts: number[] = [];
  const sets: CharacterSet[] = [];
  const numbers = new Map<CharacterSet, number>();
  const numberOf = (set: CharacterSet): number => {
    const known = numbers.get(set);
    if (known !== undefined) return known;
    const number = sets.push(set) - 1;
    numbers.set(set, number);
    return number;
  };
  for (const rule of rules) {
    ruleStarts.push(alternatives.length);
    for (const symbols of rule.alternatives) {
      alternatives.push(elements.length);
      for (const symbol of symbols)
        elements.push(symbol.kind === 'rule' ? symbol.index : FIRST_SET - numberOf(symbol.set));
      elements.push(END);
    }
  }
  return { elements, alternatives, rules: [...ruleStarts, alternatives.length], sets, root };
}

/** Numbers of stacks, sorted. */
export type StackSet = readonly number[];

/** Stacks, and how many paths have led to each: within a token the engine follows each path on its own. */
type PathCounts = ReadonlyMap<number, number>;

interface Stack {
  /** Index of the element on top. */
  readonly top: number;
  /** Number of the stack below it. */
  readonly below: number;
}

/** The stack on which nothing is left: the text may end. */
const EMPTY = 0;
const BOTTOM: Stack = { top: -1, below: -1 };

export class StackMachine {
  readonly #grammar: PackedGrammar;
  readonly #maxStacks: number;
  #stacks: Stack[] = [BOTTOM];
  /** By the stack below and the element on top. */
  readonly #numbers = new Map<number, number>();
  /** What each stack becomes with any character it allows. */
  readonly #successors = new Map<number, StackSet>();
  #stepsLeft: number;

  constructor(
    grammar: PackedGrammar,
    { steps, stacks }: { readonly steps: number; readonly stacks: number },
  ) {
    this.#grammar = grammar;
    this.#stepsLeft = steps;
    this.#maxStacks = stacks;
  }

  /** No steps are left: what is computed from now on may be incomplete. */
  get exhausted(): boolean {
    return this.#stepsLeft <= 0;
  }

  /** Number of stacks that are kept. */
  get size(): number {
    return this.#stacks.length;
  }

  /** Sets how many steps are left. */
  allow(steps: number): void {
    this.#stepsLeft = steps;
  }

  /** Forgets all stacks but these; gives their new numbers. */
  keepOnly(stacks: StackSet): StackSet {
    const old = this.#stacks;
    this.#stacks = [BOTTOM];
    this.#numbers.clear();
    this.#successors.clear();
    return stacks.map((stack) => {
      const tops: number[] = [];
      for (let each = stack; each !== EMPTY; each = (old[each] as Stack).below)
        tops.push((old[each] as Stack).top);
      return tops.reduceRight((below, top) => this.#push(top, below), EMPTY);
    });
  }

  /** The stacks at the beginning of a rule. */
  start(rule: number): StackSet {
    return this.#advance(this.#alternativesOf(rule).map((start) => this.#push(start, EMPTY)));
  }

  /** Whether the text may end here. */
  mayEnd(stacks: StackSet): boolean {
    return stacks.includes(EMPTY);
  }

  nextCharacters(stacks: StackSet): readonly CharacterSet[] {
    return stacks.map((stack) => this.#setOnTop(stack)).filter((set) => set !== undefined);
  }

  read(stacks: StackSet, codePoint: number): StackSet {
    const read: number[] = [];
    for (const stack of stacks) {
      this.#stepsLeft -= 1;
      const set = this.#setOnTop(stack);
      if (set !== undefined && includes(set, codePoint)) read.push(this.#withoutTop(stack));
    }
    return this.#advance(read);
  }

  /** Reads on within a token. */
  follow(paths: PathCounts, codePoint: number): PathCounts {
    const followed = new Map<number, number>();
    for (const [stack, count] of paths) {
      this.#stepsLeft -= 1;
      const set = this.#setOnTop(stack);
      if (set === undefined || !includes(set, codePoint)) continue;
      for (const next of this.#successorsOf(stack)) followed.set(next, (followed.get(next) ?? 0) + count);
    }
    return followed;
  }

  /** How many paths one more character adds to each, whichever it is. */
  countBranches(paths: PathCounts): number {
    let sum = 0;
    for (const [stack, count] of paths)
      if (this.#setOnTop(stack) !== undefined)
        sum += count * Math.max(0, this.#successorsOf(stack).length - 1);
    return sum;
  }

  #successorsOf(stack: number): StackSet {
    const known = this.#successors.get(stack);
    if (known !== undefined) return known;
    const successors = this.#advance([this.#withoutTop(stack)]);
    this.#successors.set(stack, successors);
    return successors;
  }

  /** Replaces references by their alternatives until every stack has a character on top, or there are too many. */
  #advance(begun: readonly number[]): StackSet {
    const { elements } = this.#grammar;
    const todo = [...begun];
    const seen = new Set<number>();
    const advanced = new Set<number>();
    for (let stack = todo.pop(); stack !== undefined; stack = todo.pop()) {
      if (seen.has(stack)) continue;
      seen.add(stack);
      this.#stepsLeft -= 1;
      const rule = stack === EMPTY ? END : (elements[(this.#stacks[stack] as Stack).top] as number);
      if (rule < 0) {
        advanced.add(stack);
        if (advanced.size > this.#maxStacks) break;
        continue;
      }
      const rest = this.#withoutTop(stack);
      for (const start of this.#alternativesOf(rule)) todo.push(this.#push(start, rest));
    }
    return [...advanced].sort((left, right) => left - right);
  }

  #alternativesOf(rule: number): readonly number[] {
    const { alternatives, rules } = this.#grammar;
    return alternatives.slice(rules[rule], rules[rule + 1]);
  }

  #setOnTop(stack: number): CharacterSet | undefined {
    const { elements, sets } = this.#grammar;
    const element = elements[(this.#stacks[stack] as Stack).top] ?? END;
    return element <= FIRST_SET ? sets[FIRST_SET - element] : undefined;
  }

  #withoutTop(stack: number): number {
    const { top, below } = this.#stacks[stack] as Stack;
    return this.#push(top + 1, below);
  }

  /** The stack with that element on top of `below`; an end is never pushed. */
  #push(top: number, below: number): number {
    const { elements } = this.#grammar;
    if (elements[top] === END) return below;
    const key = below * elements.length + top;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#stacks.push({ top, below }) - 1;
    this.#numbers.set(key, number);
    return number;
  }
}

export interface LookAhead {
  /** Of a text; tokens of words are shorter. */
  readonly characters: number;
  /** Texts followed side by side: those with the most paths. */
  readonly texts: number;
  /** Characters tried after each text: those with the most paths. */
  readonly choices: number;
}

interface FollowedText {
  readonly paths: PathCounts;
  readonly count: number;
  /** Paths added by a further character, after each of the characters of `BRANCHING`, together. */
  readonly branches: number;
}

/**
 * Characters after which branches are counted. Each path is written out once for each beginning that its tokens share,
 * with all the paths that follow it: few paths at once are slow where each leads to many, as in palindromes. The first
 * character is tried once for a token, those behind it again and again.
 */
const BRANCHING = { from: 1, to: 6 } as const;

/** The most paths found, or a number above the limit as soon as they or their branches are too many. */
export function maxPathsAhead(
  machine: StackMachine,
  stacks: StackSet,
  { characters, texts, choices }: LookAhead,
): number {
  let most = stacks.length;
  let now: readonly FollowedText[] = [{ paths: onePathEach(stacks), count: most, branches: 0 }];
  for (let read = 0; read < characters && now.length > 0 && !machine.exhausted; read++) {
    const counts = read >= BRANCHING.from && read <= BRANCHING.to;
    const after = new Map<string, FollowedText>();
    for (const { paths, branches: before } of now) {
      const branches = counts ? before + machine.countBranches(paths) : before;
      if (branches > GRAMMAR_LIMITS.branches) return GRAMMAR_LIMITS.stacks + 1;
      for (const codePoint of distinguishingCharacters(machine.nextCharacters([...paths.keys()]), choices)) {
        const next = machine.follow(paths, codePoint);
        const count = countPaths(next);
        most = Math.max(most, count);
        if (most > GRAMMAR_LIMITS.stacks) return most;
        const key = [...next.keys()].join(' ');
        if ((after.get(key)?.count ?? 0) < count) after.set(key, { paths: next, count, branches });
      }
    }
    now = [...after.values()].sort((one, other) => other.count - one.count).slice(0, texts);
  }
  return most;
}

export function onePathEach(stacks: StackSet): PathCounts {
  return new Map(stacks.map((stack) => [stack, 1]));
}

export function countPaths(paths: PathCounts): number {
  let sum = 0;
  for (const count of paths.values()) sum += count;
  return sum;
}

/** One character for each group that no set tells apart; those in most sets first, at most `atMost`. */
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
