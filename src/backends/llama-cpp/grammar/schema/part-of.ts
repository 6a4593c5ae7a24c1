/** What the kinds of value are written with: the schemas that the value must meet, and the compiler for its parts. */
import type { RuleBook } from '../gbnf/rule-book.ts';
import type { ReadSchema } from './facts.ts';
import type { Pointer } from './problem.ts';
import type { Place } from './reader.ts';

/** What the parts of a value are compiled with. */
export interface Compiler {
  readonly book: RuleBook;
  /** The name of the rule for a value that meets all the schemas. */
  ruleFor(places: readonly Place[], hint: string): string;
}

export interface PartOf {
  readonly schemas: readonly ReadSchema[];
  readonly at: Pointer;
  readonly compiler: Compiler;
}
