/**
 * Refuses left recursion, plain or behind something that can be empty, which the engine does not always notice and
 * then dies of. Measures the engine's own search for it, which is recursive and enters shared rules again and again.
 */

import { GRAMMAR_LIMITS } from '../limits.ts';
import { type FlatGrammar, type FlatRule, GrammarProblem } from './flat-grammar.ts';

/** What the engine's search costs from one rule on. */
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

export function checkLeftRecursion({ rules }: FlatGrammar, empty: ReadonlySet<number>): void {
  const costs = new Map<number, SearchCost>();
  let visits = 0;
  for (const [rule, { line }] of rules.entries()) {
    if (costs.has(rule)) continue;
    const cost = search(rules, { from: rule, empty, costs });
    visits += cost.visits;
    if (visits > GRAMMAR_LIMITS.leftVisits || cost.depth > GRAMMAR_LIMITS.leftDepth)
      throw new GrammarProblem(
        line,
        'too many rules begin with one another; let fewer alternatives begin with the same rules',
      );
  }
}

/** Depth first, without recursion of our own; what has been left behind is known for good. */
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

/** The rules that a rule may begin with, once for each place. */
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

function leftRecursion(rules: readonly FlatRule[], path: readonly number[]): GrammarProblem {
  const cycle = path.slice(path.indexOf(path.at(-1) as number));
  const first = rules[cycle[0] as number] as FlatRule;
  const names = new Set(cycle.map((rule) => (rules[rule] as FlatRule).name));
  const through =
    names.size > 1
      ? ` through ${Array.from(names, (name) => `"${name}"`)
          .slice(0, 5)
          .join(', ')}`
      : '';
  return new GrammarProblem(
    first.line,
    `the rule "${first.name}" is left-recursive${through}, or repeats something that can be empty: it may begin with itself without having read a character`,
  );
}
