/**
 * Refuses a grammar that the engine could not read, would never come to an end of, or would die of. What passes here
 * is safe to hand to the engine's process, whoever wrote it.
 */
import { ServingError } from '../../../core/errors.ts';
import { type FlatGrammar, type FlatRule, GrammarProblem } from './gbnf/flat-grammar.ts';
import { checkLeftRecursion } from './gbnf/left-recursion.ts';
import { parseGbnf } from './gbnf/parser.ts';
import { emptyRules, endingRules } from './gbnf/rule-closure.ts';
import { simplify } from './gbnf/simplify.ts';
import { checkStackGrowth } from './gbnf/stack-growth.ts';
import { writeGbnf } from './gbnf/write.ts';
import { GRAMMAR_LIMITS } from './limits.ts';

export interface CheckGrammarOptions {
  /** The field that the grammar came in. */
  readonly param?: string;
}

/** A client's own GBNF as the engine shall have it; throws `invalid_request` with the line and the reason. */
export function checkGrammar(gbnf: string, { param = 'grammar' }: CheckGrammarOptions = {}): string {
  if (gbnf.trim() === '') throw refused(param, 'is empty. It must be GBNF with a rule named "root".');
  if (gbnf.length > GRAMMAR_LIMITS.characters)
    throw refused(param, `has ${gbnf.length} characters. At most ${GRAMMAR_LIMITS.characters} are allowed.`);
  try {
    return readGrammar(gbnf).gbnf;
  } catch (thrown) {
    if (!(thrown instanceof GrammarProblem)) throw thrown;
    throw refused(param, `is not a usable grammar: line ${thrown.line}: ${thrown.message}.`);
  }
}

export interface ReadGrammar {
  /** Of the same texts as what was read, with less for the engine to follow. */
  readonly grammar: FlatGrammar;
  readonly gbnf: string;
}

/** The grammar, once every check has passed; throws a GrammarProblem. */
export function readGrammar(gbnf: string): ReadGrammar {
  const grammar = parseGbnf(gbnf);
  const { rules } = grammar;
  const ending = endingRules(rules);
  for (const [index, { name, line }] of rules.entries())
    if (!ending.has(index))
      throw new GrammarProblem(
        line,
        `the rule "${name}" can never end: each of its ways needs the rule again`,
      );
  checkLeftRecursion(grammar, emptyRules(rules));
  if (isAlwaysEmpty(grammar))
    throw new GrammarProblem((rules[grammar.root] as FlatRule).line, 'it matches nothing but the empty text');
  const simple = simplify(grammar);
  checkStackGrowth(simple);
  return { grammar: simple, gbnf: simple === grammar ? gbnf : writeGbnf(simple) };
}

/** Nothing that the root leads to holds a character. */
function isAlwaysEmpty({ rules, root }: FlatGrammar): boolean {
  const reached = new Set([root]);
  for (const index of reached) {
    for (const symbol of (rules[index] as FlatRule).alternatives.flat()) {
      if (symbol.kind === 'characters') return false;
      reached.add(symbol.index);
    }
  }
  return true;
}

function refused(param: string, what: string): ServingError {
  return new ServingError('invalid_request', { message: `${param} ${what}`, param });
}
