/**
 * Parses GBNF, and rejects whatever llama.cpp's own parser would reject, crash on, or understand differently. Rules are
 * numbered as the engine numbers them: its limit on repetitions counts the rules that a group makes.
 */
import { GRAMMAR_LIMITS } from '../limits.ts';
import type { CharacterSet } from './character-set.ts';
import {
  type Alternative,
  type FlatGrammar,
  type FlatRule,
  type FlatSymbol,
  GrammarError,
} from './flat-grammar.ts';
import { GbnfLexer } from './lexer.ts';

interface RuleInProgress {
  readonly name: string;
  readonly line: number;
  alternatives: readonly Alternative[] | undefined;
}

/** The last item of a sequence, which a repetition behind it repeats. */
interface Item {
  readonly symbols: readonly FlatSymbol[];
  /** Rules that the engine counts for it. */
  weight: number;
}

const REPETITION_SIGNS: Readonly<Record<string, readonly [min: number, max: number | undefined]>> = {
  '*': [0, undefined],
  '+': [1, undefined],
  '?': [0, 1],
};

export function parseGbnf(text: string): FlatGrammar {
  return new GbnfParser(text).parse();
}

class GbnfParser {
  readonly #reader: GbnfLexer;
  readonly #rules: RuleInProgress[] = [];
  readonly #indexes = new Map<string, number>();
  #elements = 0;
  #nesting = 0;

  constructor(text: string) {
    this.#reader = new GbnfLexer(text);
  }

  parse(): FlatGrammar {
    const reader = this.#reader;
    reader.skipSpace({ newlines: true });
    while (!reader.atEnd) this.#rule();
    const rules = this.#rules.map(({ name, line, alternatives }): FlatRule => {
      if (alternatives === undefined)
        throw new GrammarError(line, `the rule "${name}" is used but not defined`);
      return { name, line, alternatives };
    });
    const root = this.#indexes.get('root');
    if (root === undefined) throw new GrammarError(1, 'there is no rule named "root"');
    return { rules, root };
  }

  #rule(): void {
    const reader = this.#reader;
    const { line } = reader;
    const name = reader.name('the name of a rule (letters, digits and dashes)');
    const rule = this.#rules[this.#indexOf(name, line)] as RuleInProgress;
    if (rule.alternatives !== undefined)
      throw new GrammarError(line, `the rule "${name}" is defined a second time`);
    reader.skipSpace({ newlines: false });
    if (!reader.take('::=')) throw reader.expected(`"::=" after the name "${name}"`);
    reader.skipSpace({ newlines: true });
    rule.alternatives = this.#alternatives(name, false);
    reader.endOfRule();
    reader.skipSpace({ newlines: true });
  }

  #alternatives(ruleName: string, nested: boolean): readonly Alternative[] {
    const alternatives = [this.#sequence(ruleName, nested)];
    while (this.#reader.take('|')) {
      this.#reader.skipSpace({ newlines: true });
      alternatives.push(this.#sequence(ruleName, nested));
    }
    return alternatives;
  }

  #sequence(ruleName: string, nested: boolean): Alternative {
    const done: FlatSymbol[] = [];
    let last: Item | undefined;
    for (;;) {
      const { line } = this.#reader;
      const repetition = this.#repetition(nested);
      if (repetition !== undefined) {
        if (last === undefined || last.symbols.length === 0)
          throw new GrammarError(line, 'a repetition needs something before it to repeat');
        last = this.#repeat(last, { ...repetition, ruleName, line });
      } else {
        const item = this.#item(ruleName);
        if (item === undefined) break;
        done.push(...(last?.symbols ?? []));
        last = item;
      }
      this.#reader.skipSpace({ newlines: nested });
    }
    return [...done, ...(last?.symbols ?? [])];
  }

  #item(ruleName: string): Item | undefined {
    const reader = this.#reader;
    const { line } = reader;
    const character = reader.peek();
    if (character === '"') return this.#terminals(reader.literal());
    if (character === '[') return this.#terminals([reader.characterClass()]);
    if (character === '.') return this.#terminals([reader.anyCharacter()]);
    if (character === '(') return this.#group(ruleName);
    if (character === '<' || character === '!')
      throw new GrammarError(line, 'tokens (<name>, <[id]>) are not supported; write their text as a string');
    if (!reader.atName) return undefined;
    const name = reader.name('a name');
    return this.#counted({ symbols: [{ kind: 'rule', index: this.#indexOf(name, line) }], weight: 1 });
  }

  #group(ruleName: string): Item {
    const reader = this.#reader;
    const { line } = reader;
    reader.take('(');
    this.#nesting += 1;
    if (this.#nesting > GRAMMAR_LIMITS.nesting)
      throw new GrammarError(
        line,
        `groups are nested more than ${GRAMMAR_LIMITS.nesting} deep; make rules of them`,
      );
    reader.skipSpace({ newlines: true });
    const before = this.#rules.length;
    const index = this.#add(ruleName, line);
    const alternatives = this.#alternatives(ruleName, true);
    (this.#rules[index] as RuleInProgress).alternatives = alternatives;
    if (!reader.take(')')) throw reader.expected(`")" for the "(" of line ${line}`);
    this.#nesting -= 1;
    return this.#counted({ symbols: [{ kind: 'rule', index }], weight: this.#rules.length - before });
  }

  #repetition(nested: boolean): { min: number; max: number | undefined } | undefined {
    const reader = this.#reader;
    const sign = REPETITION_SIGNS[reader.peek()];
    if (sign !== undefined) {
      reader.take(reader.peek());
      return { min: sign[0], max: sign[1] };
    }
    return reader.peek() === '{' ? reader.counts(nested) : undefined;
  }

  /** As the engine does it: copies for the minimum, an optional rule for each further one, a recursive rule for any number. */
  #repeat(item: Item, how: { min: number; max: number | undefined; ruleName: string; line: number }): Item {
    const { min, max, ruleName, line } = how;
    const times = Math.max(max ?? min, 1);
    const weight = item.weight * times;
    if (weight > GRAMMAR_LIMITS.repetitions)
      throw new GrammarError(
        line,
        `a repetition is too large: the rules it repeats times the repetitions make ${weight}, at most ${GRAMMAR_LIMITS.repetitions} are allowed`,
      );
    this.#count(item.symbols.length * Math.max(times, 1), line);
    const copies = Array.from({ length: min }, () => item.symbols).flat();
    if (max === undefined) {
      const index = this.#add(ruleName, line);
      const again: FlatSymbol = { kind: 'rule', index };
      (this.#rules[index] as RuleInProgress).alternatives = [[...item.symbols, again], []];
      return { symbols: [...copies, again], weight };
    }
    let optional: readonly FlatSymbol[] = [];
    for (let left = max - min; left > 0; left--) {
      const index = this.#add(ruleName, line);
      (this.#rules[index] as RuleInProgress).alternatives = [[...item.symbols, ...optional], []];
      optional = [{ kind: 'rule', index }];
    }
    return { symbols: [...copies, ...optional], weight };
  }

  #terminals(sets: readonly CharacterSet[]): Item {
    return this.#counted({ symbols: sets.map((set) => ({ kind: 'characters', set })), weight: 1 });
  }

  #counted(item: Item): Item {
    for (const symbol of item.symbols)
      this.#count(symbol.kind === 'characters' ? symbol.set.length : 1, this.#reader.line);
    return item;
  }

  #count(elements: number, line: number): void {
    this.#elements += elements;
    if (this.#elements > GRAMMAR_LIMITS.elements)
      throw new GrammarError(
        line,
        `written out, the grammar has more than ${GRAMMAR_LIMITS.elements} elements; use fewer or smaller repetitions`,
      );
  }

  #indexOf(name: string, line: number): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    const index = this.#add(name, line);
    this.#indexes.set(name, index);
    return index;
  }

  #add(name: string, line: number): number {
    if (this.#rules.length >= GRAMMAR_LIMITS.rules)
      throw new GrammarError(line, `written out, the grammar has more than ${GRAMMAR_LIMITS.rules} rules`);
    return this.#rules.push({ name, line, alternatives: undefined }) - 1;
  }
}
