/**
 * Writes random texts of a grammar: at each reference takes a random alternative, and once the text is long the one
 * that ends soonest.
 */
import { includes } from '../../src/backends/llama-cpp/grammar/gbnf/character-set.ts';
import type {
  Alternative,
  FlatGrammar,
  FlatSymbol,
} from '../../src/backends/llama-cpp/grammar/gbnf/flat-grammar.ts';

/** A number from 0 up to, but not including, `limit`. */
export type Random = (limit: number) => number;

export class GrammarWalker {
  readonly #grammar: FlatGrammar;
  /** Symbols of the shortest text of each rule. */
  readonly #lengths: number[];

  constructor(grammar: FlatGrammar) {
    this.#grammar = grammar;
    this.#lengths = shortestLengths(grammar);
  }

  text(random: Random, symbols = 60): string {
    let text = '';
    let left = symbols;
    const todo: FlatSymbol[] = [{ kind: 'rule', index: this.#grammar.root }];
    for (let symbol = todo.pop(); symbol !== undefined; symbol = todo.pop()) {
      left -= 1;
      if (symbol.kind === 'characters') {
        text += characterOf(symbol, random);
        continue;
      }
      const alternatives = this.#grammar.rules[symbol.index]?.alternatives ?? [];
      const chosen = left > 0 ? alternatives[random(alternatives.length)] : this.#shortest(alternatives);
      todo.push(...[...(chosen ?? [])].reverse());
    }
    return text;
  }

  #shortest(alternatives: readonly Alternative[]): Alternative | undefined {
    return [...alternatives].sort((one, other) => this.#lengthOf(one) - this.#lengthOf(other))[0];
  }

  #lengthOf(alternative: Alternative): number {
    return lengthOf(alternative, this.#lengths);
  }
}

/** Mostly characters that people write, now and then any of the set. */
function characterOf(
  { set }: { readonly set: readonly { from: number; to: number }[] },
  random: Random,
): string {
  const letter = 0x61 + random(26);
  if (random(4) > 0 && includes(set, letter)) return String.fromCodePoint(letter);
  const { from, to } = set[random(set.length)] as { from: number; to: number };
  return String.fromCodePoint(from + random(to - from + 1));
}

function shortestLengths({ rules }: FlatGrammar): number[] {
  const lengths = rules.map(() => Number.POSITIVE_INFINITY);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [index, { alternatives }] of rules.entries()) {
      const shortest = Math.min(...alternatives.map((symbols) => lengthOf(symbols, lengths)));
      if (shortest >= (lengths[index] as number)) continue;
      lengths[index] = shortest;
      changed = true;
    }
  }
  return lengths;
}

/** A step for each symbol, so that a loop without characters has a length too. */
function lengthOf(symbols: Alternative, lengths: readonly number[]): number {
  return symbols.reduce(
    (sum, symbol) => sum + 1 + (symbol.kind === 'rule' ? (lengths[symbol.index] as number) : 0),
    0,
  );
}
