/**
 * A grammar as llama.cpp's engine holds it: groups and repetitions are rules of their own, alternatives are plain
 * sequences of characters and references. Every check, and every bound on what the engine will do, reads this form.
 */
import type { CharacterSet } from './character-set.ts';

export type FlatSymbol =
  /** One character of the set. */
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  /** The rule at that index of the grammar. */
  | { readonly kind: 'rule'; readonly index: number };

export type Alternative = readonly FlatSymbol[];

export interface FlatRule {
  /** The rule as the author named it; a rule made for a group or a repetition has the name of the one it stands in. */
  readonly name: string;
  /** Where the name is first written, from 1. */
  readonly line: number;
  readonly alternatives: readonly Alternative[];
}

export interface FlatGrammar {
  /** In the order in which the engine numbers them. */
  readonly rules: readonly FlatRule[];
  /** Index of the rule `root`. */
  readonly root: number;
}

/** What is wrong with a grammar, and where. */
export class GrammarProblem extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}
