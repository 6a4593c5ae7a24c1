/** Reads the tokens of a GBNF text: names, strings, character classes, counts, spaces and comments. Owns position and line. */

import {
  ALL_CHARACTERS,
  type CharacterRange,
  type CharacterSet,
  characterSet,
  complement,
  difference,
  LAST_CODE_POINT,
  singleCharacter,
} from './character-set.ts';
import { GrammarError } from './flat-grammar.ts';

const NAME_CHARACTER = /[a-zA-Z0-9-]/;
const DIGIT = /[0-9]/;
const SPACE = new Set([' ', '\t']);
const NEWLINE = new Set(['\r', '\n']);
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  r: '\r',
  n: '\n',
  '\\': '\\',
  '"': '"',
  '[': '[',
  ']': ']',
  '-': '-',
};
/** The engine ends texts at this character, so no model can write it. */
const NUL = singleCharacter(0);

export class GbnfLexer {
  readonly #characters: readonly string[];
  /** Sets of one character, one object for each. */
  readonly #singles = new Map<number, CharacterSet>();
  #position = 0;
  #line = 1;

  constructor(text: string) {
    this.#characters = Array.from(text);
    if (text.includes('\0')) throw new GrammarError(1, 'the text holds the character U+0000');
  }

  get line(): number {
    return this.#line;
  }

  get atEnd(): boolean {
    return this.#position >= this.#characters.length;
  }

  get atName(): boolean {
    return NAME_CHARACTER.test(this.peek());
  }

  /** The character `ahead` of the position; '' at the end. */
  peek(ahead = 0): string {
    return this.#characters[this.#position + ahead] ?? '';
  }

  /** Skips the text if it comes next. */
  take(text: string): boolean {
    for (let index = 0; index < text.length; index++) if (this.peek(index) !== text[index]) return false;
    for (let index = 0; index < text.length; index++) this.#next();
    return true;
  }

  expected(what: string): GrammarError {
    const found = this.atEnd ? 'the end of the text' : JSON.stringify(this.peek());
    return new GrammarError(this.#line, `expected ${what}, found ${found}`);
  }

  skipSpace({ newlines }: { readonly newlines: boolean }): void {
    for (;;) {
      const character = this.peek();
      if (character === '#') {
        while (!this.atEnd && !NEWLINE.has(this.peek())) this.#next();
      } else if (SPACE.has(character) || (newlines && NEWLINE.has(character))) this.#next();
      else return;
    }
  }

  endOfRule(): void {
    if (this.atEnd) return;
    if (!NEWLINE.has(this.peek())) throw this.expected('a new line after the rule');
    this.#next();
  }

  name(what: string): string {
    let name = '';
    while (this.atName) name += this.#next();
    if (name === '') throw this.expected(what);
    return name;
  }

  /** "…", as one set for each character. */
  literal(): readonly CharacterSet[] {
    const start = this.#line;
    const sets: CharacterSet[] = [];
    this.#next();
    while (this.peek() !== '"') {
      if (this.atEnd) throw new GrammarError(start, 'a string has no closing quote');
      sets.push(this.#single(this.#character()));
    }
    this.#next();
    return sets;
  }

  /** […] or [^…]. */
  characterClass(): CharacterSet {
    const start = this.#line;
    const ranges: CharacterRange[] = [];
    this.#next();
    const negated = this.take('^');
    while (this.peek() !== ']') {
      if (this.atEnd) throw new GrammarError(start, 'a character class has no closing bracket');
      const from = this.#character();
      if (this.peek() !== '-' || this.peek(1) === ']') {
        ranges.push({ from, to: from });
        continue;
      }
      this.#next();
      const to = this.#character();
      if (to < from) throw new GrammarError(start, 'a range of a character class is upside down');
      ranges.push({ from, to });
    }
    this.#next();
    if (ranges.length === 0) throw new GrammarError(start, 'a character class is empty');
    const set = characterSet(ranges);
    return this.#writable(negated ? complement(set) : set, 'a character class allows only');
  }

  anyCharacter(): CharacterSet {
    this.#next();
    return difference(ALL_CHARACTERS, NUL);
  }

  /** {m}, {m,} or {m,n}. */
  counts(nested: boolean): { readonly min: number; readonly max: number | undefined } {
    const space = () => this.skipSpace({ newlines: nested });
    this.#next();
    space();
    const min = this.#integer();
    space();
    let max: number | undefined = min;
    if (this.take(',')) {
      space();
      max = DIGIT.test(this.peek()) ? this.#integer() : undefined;
      space();
    }
    if (!this.take('}')) throw this.expected('"}" after the counts of a repetition');
    if (max !== undefined && max < min)
      throw new GrammarError(this.#line, `a repetition of at least ${min} and at most ${max} is impossible`);
    return { min, max };
  }

  #integer(): number {
    let digits = '';
    while (DIGIT.test(this.peek())) digits += this.#next();
    if (digits === '') throw this.expected('a number in the repetition');
    return Number(digits);
  }

  /** One character, escaped or not, as its code point. */
  #character(): number {
    const { line } = this;
    const character = this.#next();
    if (character === '') throw new GrammarError(line, 'the text ends within a string or character class');
    if (character !== '\\') return character.codePointAt(0) as number;
    const letter = this.#next();
    const plain = ESCAPES[letter];
    if (plain !== undefined) return plain.charCodeAt(0);
    const length = HEX_ESCAPES[letter];
    if (length === undefined) throw new GrammarError(line, `the escape \\${letter} is not known`);
    let digits = '';
    while (digits.length < length && /[0-9a-fA-F]/.test(this.peek())) digits += this.#next();
    if (digits.length < length)
      throw new GrammarError(line, `\\${letter} needs ${length} hexadecimal digits`);
    const codePoint = Number.parseInt(digits, 16);
    if (codePoint > LAST_CODE_POINT) throw new GrammarError(line, `\\${letter}${digits} is no character`);
    return codePoint;
  }

  #single(codePoint: number): CharacterSet {
    const known = this.#singles.get(codePoint);
    if (known !== undefined) return known;
    const set = this.#writable(singleCharacter(codePoint), 'a string holds');
    this.#singles.set(codePoint, set);
    return set;
  }

  #writable(set: CharacterSet, where: string): CharacterSet {
    const writable = set[0]?.from === 0 ? difference(set, NUL) : set;
    if (writable.length === 0)
      throw new GrammarError(
        this.#line,
        `${where} a character that no text can hold (U+0000 or a surrogate)`,
      );
    return writable;
  }

  #next(): string {
    const character = this.peek();
    if (character === '\n' || (character === '\r' && this.peek(1) !== '\n')) this.#line += 1;
    this.#position += 1;
    return character;
  }
}
