/** Writes a grammar as GBNF again: each rule under a name of its own, whatever it stood for. */
import type { Alternative, FlatGrammar } from './flat-grammar.ts';
import { alternatives, characterClass, sequence } from './text.ts';

export function writeGbnf({ rules, root }: FlatGrammar): string {
  const nameOf = (index: number): string => (index === root ? 'root' : `r${index}`);
  const written = (symbols: Alternative): string =>
    sequence(
      ...symbols.map((symbol) =>
        symbol.kind === 'characters' ? characterClass(symbol.set) : nameOf(symbol.index),
      ),
    );
  const lines = rules.map(({ alternatives: ways }, index) => {
    // A rule of nothing but the empty text would be read on into the next line.
    const body = alternatives(ways.map(written));
    return `${nameOf(index)} ::= ${body === '' ? '""' : body}`;
  });
  return `${lines.join('\n')}\n`;
}
