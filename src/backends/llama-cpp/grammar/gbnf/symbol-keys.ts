/** Short texts by which symbols and sequences can be told to be equal. Owns the numbers given to character sets. */
import type { CharacterSet } from './character-set.ts';
import type { Alternative, FlatSymbol } from './flat-grammar.ts';

export class SymbolKeys {
  readonly #bySet = new WeakMap<CharacterSet, number>();
  readonly #byContent = new Map<string, number>();

  /** `self`: a rule whose references to itself look alike in every rule. */
  of(symbols: Alternative, { self }: { readonly self?: number } = {}): string {
    return symbols
      .map((symbol) => (symbol.kind === 'rule' && symbol.index === self ? '*' : this.ofSymbol(symbol)))
      .join(' ');
  }

  ofSymbol(symbol: FlatSymbol): string {
    return symbol.kind === 'rule' ? `r${symbol.index}` : `c${this.#numberOf(symbol.set)}`;
  }

  #numberOf(set: CharacterSet): number {
    const known = this.#bySet.get(set);
    if (known !== undefined) return known;
    const content = set.map(({ from, to }) => `${from}-${to}`).join();
    const number = this.#byContent.get(content) ?? this.#byContent.size;
    this.#byContent.set(content, number);
    this.#bySet.set(set, number);
    return number;
  }
}
