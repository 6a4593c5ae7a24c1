/**
 * Rejects a grammar that the engine could not read, would never reach the end of, or would crash on. What passes is safe to
 * give to the engine's process.
 */
import { ServingError } from '../../../core/errors.ts';
import { overlapping } from './gbnf/character-set.ts';
import {
  type FlatGrammar,
  type FlatRule,
  GrammarError,
  nullableRules,
  productiveRules,
} from './gbnf/flat-grammar.ts';
import { writeGbnf } from './gbnf/grammar-builder.ts';
import { parseGbnf } from './gbnf/parser.ts';
import { simplify } from './gbnf/simplify.ts';
import {
  distinguishingCharacters,
  type LookAhead,
  maxPathsAhead,
  packGrammar,
  StackMachine,
  type StackSet,
} from './gbnf/stack-machine.ts';
import { GRAMMAR_LIMITS } from './limits.ts';

export interface CheckedGrammar {
  readonly gbnf: string;
  /** The same grammar, parsed. */
  readonly flat: FlatGrammar;
}

/** A client's own GBNF. Throws `invalid_request` with the line and the reason. */
export function checkGrammar(gbnf: string): CheckedGrammar {
  const param = 'grammar';
  if (gbnf.trim() === '') throw invalid(param, 'is empty. It must be GBNF with a rule named "root".');
  if (gbnf.length > GRAMMAR_LIMITS.characters)
    throw invalid(param, `has ${gbnf.length} characters. At most ${GRAMMAR_LIMITS.characters} are allowed.`);
  try {
    return parseChecked(gbnf);
  } catch (thrown) {
    if (!(thrown instanceof GrammarError)) throw thrown;
    throw invalid(param, `is not a usable grammar: line ${thrown.line}: ${thrown.message}.`);
  }
}

/** A grammar of the same texts with less for the engine to follow. Throws a GrammarError where a check fails. */
export function parseChecked(gbnf: string): CheckedGrammar {
  const grammar = parseGbnf(gbnf);
  const { rules } = grammar;
  const ending = productiveRules(rules);
  for (const [index, { name, line }] of rules.entries())
    if (!ending.has(index))
      throw new GrammarError(
        line,
        `the rule "${name}" can never end: each of its alternatives needs the rule again`,
      );
  checkLeftRecursion(grammar, nullableRules(rules));
  if (isAlwaysEmpty(grammar))
    throw new GrammarError((rules[grammar.root] as FlatRule).line, 'it matches nothing but the empty text');
  const simple = simplify(grammar);
  checkStackGrowth(simple);
  return { flat: simple, gbnf: simple === grammar ? gbnf : writeGbnf(simple) };
}

/** No rule that the root leads to contains a character. */
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

function invalid(param: string, what: string): ServingError {
  return new ServingError('invalid_request', { message: `${param} ${what}`, param });
}

/** What the engine's own search for left recursion costs from a rule: it is recursive, and enters shared rules again. */
interface SearchCost {
  readonly visits: number;
  readonly depth: number;
}

interface Step {
  readonly rule: number;
  readonly leftmost: readonly number[];
  next: number;
  visits: number;
  depth: number;
}

/** The engine misses some left recursion behind what can be empty, and crashes on it. */
export function checkLeftRecursion({ rules }: FlatGrammar, empty: ReadonlySet<number>): void {
  const costs = new Map<number, SearchCost>();
  let visits = 0;
  for (const [rule, { line }] of rules.entries()) {
    if (costs.has(rule)) continue;
    const cost = search(rules, { from: rule, empty, costs });
    visits += cost.visits;
    if (visits > GRAMMAR_LIMITS.leftVisits || cost.depth > GRAMMAR_LIMITS.leftDepth)
      throw new GrammarError(
        line,
        'too many rules begin with one another; let fewer alternatives begin with the same rules',
      );
  }
}

/** Depth first, without recursion of our own. */
function search(
  rules: readonly FlatRule[],
  known: {
    readonly from: number;
    readonly empty: ReadonlySet<number>;
    readonly costs: Map<number, SearchCost>;
  },
): SearchCost {
  const { empty, costs } = known;
  const enter = (rule: number): Step => ({
    rule,
    leftmost: leftmostRules(rules[rule] as FlatRule, empty),
    next: 0,
    visits: 1,
    depth: 1,
  });
  const path = [enter(known.from)];
  const open = new Set([known.from]);
  for (;;) {
    const step = path.at(-1) as Step;
    const child = step.leftmost[step.next];
    if (child === undefined) {
      const cost = { visits: step.visits, depth: step.depth };
      costs.set(step.rule, cost);
      open.delete(step.rule);
      path.pop();
      if (path.length === 0) return cost;
      continue;
    }
    const cost = costs.get(child);
    if (cost !== undefined) {
      step.next += 1;
      step.visits = Math.min(step.visits + cost.visits, Number.MAX_SAFE_INTEGER);
      step.depth = Math.max(step.depth, cost.depth + 1);
      continue;
    }
    if (open.has(child)) throw leftRecursion(rules, [...path.map(({ rule }) => rule), child]);
    open.add(child);
    path.push(enter(child));
  }
}

/** The rules that a rule may begin with, once for each occurrence. */
function leftmostRules({ alternatives }: FlatRule, empty: ReadonlySet<number>): readonly number[] {
  const leftmost: number[] = [];
  for (const symbols of alternatives) {
    for (const symbol of symbols) {
      if (symbol.kind !== 'rule') break;
      leftmost.push(symbol.index);
      if (!empty.has(symbol.index)) break;
    }
  }
  return leftmost;
}

function leftRecursion(rules: readonly FlatRule[], path: readonly number[]): GrammarError {
  const cycle = path.slice(path.indexOf(path.at(-1) as number));
  const first = rules[cycle[0] as number] as FlatRule;
  const names = new Set(cycle.map((rule) => (rules[rule] as FlatRule).name));
  const through =
    names.size > 1
      ? ` through ${Array.from(names, (name) => `"${name}"`)
          .slice(0, 5)
          .join(', ')}`
      : '';
  return new GrammarError(
    first.line,
    `the rule "${first.name}" is left-recursive${through}, or repeats something that can be empty: it may begin with itself without having read a character`,
  );
}

/** Characters tried from one set of stacks. */
const CHARACTERS_TRIED = 12;
/** Sets of stacks tried from the root; from all other rules together; and from each of them at least. */
const SETS_FROM_ROOT = 300;
const SETS_FROM_RULES = 200;
const SETS_FROM_RULE = 4;
/** Steps of all searches together: a few hundredths of a second. */
const STEPS = 200_000;
/** From the beginning of a rule, and from the positions found after it. */
const AHEAD_OF_START: LookAhead = { characters: 32, texts: 8, choices: 8 };
const AHEAD_OF_PLACE: LookAhead = { characters: 12, texts: 1, choices: 2 };

/**
 * The engine follows all paths through a text at once, with a stack for each, and tries its whole vocabulary for each
 * stack. A grammar that reads a text on ever more paths stops it for good. This follows the stacks as the engine does, over
 * a bounded number of texts, those with the most stacks first, from the root and from every rule; and from each position it
 * looks ahead as far as a token reaches.
 */
function checkStackGrowth(grammar: FlatGrammar): void {
  const machine = new StackMachine(packGrammar(grammar), { steps: STEPS, stacks: GRAMMAR_LIMITS.stacks });
  const named = new Map(grammar.rules.map(({ name }, index) => [name, index] as const).reverse());
  const setsOfEach = Math.max(Math.floor(SETS_FROM_RULES / named.size), SETS_FROM_RULE);
  const starts = [...named.values()].slice(0, SETS_FROM_RULES / SETS_FROM_RULE);
  for (const start of new Set([grammar.root, ...starts])) {
    if (machine.exhausted) return;
    const sets = start === grammar.root ? SETS_FROM_ROOT : setsOfEach;
    if (staysSmall(machine, { start, sets })) continue;
    const { name, line } = grammar.rules[start] as FlatRule;
    throw new GrammarError(
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
  if (!add(begun) || maxPathsAhead(machine, begun, AHEAD_OF_START) > GRAMMAR_LIMITS.stacks) return false;
  for (let tried = 0; tried < sets && !machine.exhausted; tried++) {
    const stacks = fullest(waiting, tried % 2 === 0 ? 'newest' : 'oldest');
    if (stacks === undefined) return true;
    if (
      overlapping(machine.nextCharacters(stacks)).size > 0 &&
      maxPathsAhead(machine, stacks, AHEAD_OF_PLACE) > GRAMMAR_LIMITS.stacks
    )
      return false;
    for (const codePoint of distinguishingCharacters(machine.nextCharacters(stacks), CHARACTERS_TRIED))
      if (!add(machine.read(stacks, codePoint))) return false;
  }
  return true;
}

/** Newest and oldest alternate: some texts grow when they go on as they began, others only with something new. */
function fullest(waiting: StackSet[][], which: 'newest' | 'oldest'): StackSet | undefined {
  for (let size = waiting.length - 1; size > 0; size--) {
    const stacks = which === 'newest' ? waiting[size]?.pop() : waiting[size]?.shift();
    if (stacks !== undefined) return stacks;
  }
  return undefined;
}
