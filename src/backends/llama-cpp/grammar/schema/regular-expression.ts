/**
 * Reads the regular subset of ECMAScript's regular expressions (with the u flag) that a grammar can express: what is
 * outside it is refused by name.
 */

import {
  type CharacterRange,
  type CharacterSet,
  characterSet,
  charactersOf,
  complement,
  singleCharacter,
  union,
} from '../gbnf/character-set.ts';
import { alternatives, type GrammarBuilder, repeated, sequence } from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';

type Expression =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly ways: readonly Expression[] }
  | {
      readonly kind: 'repetition';
      readonly of: Expression;
      readonly min: number;
      readonly max: number | undefined;
    };

/** Why a pattern cannot be used; a sentence without its subject. */
export class PatternError extends Error {}

const DIGITS = characterSet([{ from: 0x30, to: 0x39 }]);
const WORD = union(
  DIGITS,
  charactersOf('_'),
  characterSet([
    { from: 0x41, to: 0x5a },
    { from: 0x61, to: 0x7a },
  ]),
);
const SPACE = union(charactersOf(' \t\n\v\f\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), [
  { from: 0x2000, to: 0x200a },
]);
const ANY = complement(charactersOf('\n\r\u2028\u2029'));
const CLASSES: Readonly<Record<string, CharacterSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', '0': '\0' };
const QUANTIFIERS: Readonly<Record<string, readonly [number, number | undefined]>> = {
  '*': [0, undefined],
  '+': [1, undefined],
  '?': [0, 1],
};

/** The expression between `^` and `$`. */
export function parsePattern(pattern: string): Expression {
  return checked(pattern).read();
}

/**
 * The expression of whole texts: `^` at the beginning and `$` at the end of an alternative say what is so anyway. Also as
 * Python writes it: named groups, and escapes of any punctuation.
 */
export function parseWholeText(pattern: string): Expression {
  let inClass = false;
  const written = pattern.replace(PYTHON_WAYS, (way) => {
    if (way === '[' || way === ']') inClass = way === '[';
    if (way === '(?P<') return inClass ? way : '(?<';
    if (!way.startsWith('\\') || NEEDS_ESCAPE.test(way)) return way;
    return `\\x${(way.codePointAt(1) as number).toString(16)}`;
  });
  return checked(written).readWholeText();
}

/** An escape of ASCII, taken as one so that no backslash is read twice; the head of a named group; or an edge of a class. */
const PYTHON_WAYS = /\\[ -~]|\(\?P<|[[\]]/g;
/** Escapes that mean the same with the u flag: of letters, digits and syntax. */
const NEEDS_ESCAPE = /[a-zA-Z0-9^$\\.*+?()[\]{}|/]$/;

function checked(pattern: string): PatternReader {
  if (pattern.length > SCHEMA_LIMITS.patternCharacters)
    throw new PatternError(
      `has ${pattern.length} characters. At most ${SCHEMA_LIMITS.patternCharacters} are allowed.`,
    );
  try {
    new RegExp(pattern, 'u');
  } catch {
    throw new PatternError('is not a valid regular expression (ECMAScript, with the u flag).');
  }
  return new PatternReader(pattern);
}

class PatternReader {
  readonly #characters: readonly string[];
  #position = 0;
  #nesting = 0;

  constructor(pattern: string) {
    this.#characters = Array.from(pattern);
  }

  read(): Expression {
    if (!this.#take('^'))
      throw new PatternError('must begin with ^ and end with $: the whole text is described.');
    const ways = this.#ways();
    if (ways.length > 1) throw new PatternError('has alternatives outside a group; write ^(a|b)$.');
    if (!this.#take('$') || this.#peek() !== '')
      throw new PatternError('must begin with ^ and end with $, and have neither in between.');
    return ways[0] as Expression;
  }

  readWholeText(): Expression {
    const ways: Expression[] = [];
    do {
      this.#take('^');
      ways.push(this.#sequence());
      this.#take('$');
    } while (this.#take('|'));
    if (this.#peek() !== '') throw new PatternError('may have $ only at the end of an alternative.');
    return { kind: 'choice', ways };
  }

  #ways(): readonly Expression[] {
    const ways = [this.#sequence()];
    while (this.#take('|')) ways.push(this.#sequence());
    return ways;
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    while (!['', '|', ')', '$'].includes(this.#peek())) parts.push(this.#quantified(this.#atom()));
    return { kind: 'sequence', parts };
  }

  #atom(): Expression {
    const character = this.#next();
    if (character === '(') return this.#group();
    if (character === '[') return { kind: 'character', set: this.#class() };
    if (character === '.') return { kind: 'character', set: ANY };
    if (character === '\\') return { kind: 'character', set: this.#escape() };
    if (character === '^') throw new PatternError('may have ^ only at its beginning.');
    return { kind: 'character', set: this.#single(character.codePointAt(0) as number) };
  }

  #group(): Expression {
    this.#nesting += 1;
    if (this.#nesting > SCHEMA_LIMITS.patternNesting)
      throw new PatternError(`has groups nested more than ${SCHEMA_LIMITS.patternNesting} deep.`);
    if (this.#take('?') && !this.#take(':')) {
      const named = this.#peek() === '<' && !['=', '!'].includes(this.#peek(1));
      if (!named) throw new PatternError('uses look-around or flags, which are not supported.');
      while (this.#next() !== '>');
    }
    const ways = this.#ways();
    if (!this.#take(')')) throw new PatternError('may have $ only at its end.');
    this.#nesting -= 1;
    return { kind: 'choice', ways };
  }

  #quantified(of: Expression): Expression {
    const bounds = QUANTIFIERS[this.#peek()] ?? this.#counts();
    if (bounds === undefined) return of;
    if (QUANTIFIERS[this.#peek()] !== undefined) this.#next();
    // A lazy quantifier allows the same texts.
    this.#take('?');
    const [min, max] = bounds;
    if (Math.max(min, max ?? 0) > SCHEMA_LIMITS.repetitions)
      throw new PatternError(`repeats more than ${SCHEMA_LIMITS.repetitions} times.`);
    return { kind: 'repetition', of, min, max };
  }

  /** {m}, {m,} or {m,n}, left behind. */
  #counts(): readonly [number, number | undefined] | undefined {
    if (this.#peek() !== '{') return undefined;
    let text = '';
    while (!text.endsWith('}')) text += this.#next();
    const [min = '', max] = text.slice(1, -1).split(',');
    return [Number(min), max === undefined ? Number(min) : max === '' ? undefined : Number(max)];
  }

  #class(): CharacterSet {
    const negated = this.#take('^');
    const sets: CharacterSet[] = [];
    while (!this.#take(']')) {
      const from = this.#classCharacter();
      if (typeof from !== 'number' || this.#peek() !== '-' || this.#peek(1) === ']') {
        sets.push(typeof from === 'number' ? this.#single(from) : from);
        continue;
      }
      this.#next();
      const to = this.#classCharacter() as number;
      const range: CharacterRange = { from, to };
      sets.push(characterSet([range]));
    }
    const set = negated ? complement(union(...sets)) : union(...sets);
    if (set.length === 0) throw new PatternError('has a character class without characters.');
    return set;
  }

  #classCharacter(): number | CharacterSet {
    const character = this.#next();
    if (character !== '\\') return character.codePointAt(0) as number;
    const set = CLASSES[this.#peek()];
    if (set !== undefined) {
      this.#next();
      return set;
    }
    if (this.#take('b')) return 0x08;
    return this.#escapedCharacter();
  }

  #escape(): CharacterSet {
    const set = CLASSES[this.#peek()];
    if (set === undefined) return this.#single(this.#escapedCharacter());
    this.#next();
    return set;
  }

  #escapedCharacter(): number {
    const character = this.#next();
    const control = CONTROLS[character];
    if (control !== undefined) return control.charCodeAt(0);
    if (character === 'c') return (this.#next().codePointAt(0) as number) % 32;
    if (character === 'x') return Number.parseInt(this.#next() + this.#next(), 16);
    if (character === 'u') return this.#unicode();
    if (/[a-zA-Z0-9]/.test(character)) throw new PatternError(`uses \\${character}, which is not supported.`);
    return character.codePointAt(0) as number;
  }

  /** \uXXXX, also as a pair of surrogates, or \u{…}. */
  #unicode(): number {
    const four = () => Number.parseInt(this.#next() + this.#next() + this.#next() + this.#next(), 16);
    if (this.#take('{')) {
      let digits = '';
      while (this.#peek() !== '}') digits += this.#next();
      this.#next();
      return Number.parseInt(digits, 16);
    }
    const unit = four();
    const isHigh = unit >= 0xd800 && unit <= 0xdbff;
    if (!isHigh || this.#peek() !== '\\' || this.#peek(1) !== 'u') return unit;
    this.#position += 2;
    return String.fromCharCode(unit, four()).codePointAt(0) as number;
  }

  #single(codePoint: number): CharacterSet {
    const set = singleCharacter(codePoint);
    if (set.length === 0) throw new PatternError('names a lone surrogate, which is no character.');
    return set;
  }

  #peek(ahead = 0): string {
    return this.#characters[this.#position + ahead] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position += 1;
    return true;
  }

  #next(): string {
    const character = this.#peek();
    if (character === '') throw new PatternError('ends too early.');
    this.#position += 1;
    return character;
  }
}

/** How one character of a set is written: as itself, or as JSON spells it. */
interface ExpressionWriter {
  readonly builder: GrammarBuilder;
  /** One character of the set. */
  one(set: CharacterSet): string;
  /** What `one` writes is a single character class, which may be repeated as it is. */
  isOne(set: CharacterSet): boolean;
}

/** The expression as GBNF. The writer decides how one character is written: as itself, or as JSON escapes it. */
export function writeExpression(expression: Expression, writer: ExpressionWriter): string {
  const { builder } = writer;
  switch (expression.kind) {
    case 'character':
      return writer.one(expression.set);
    case 'sequence':
      return sequence(...expression.parts.map((part) => writeExpression(part, writer)));
    case 'choice':
      return expression.ways.length === 1
        ? writeExpression(expression.ways[0] as Expression, writer)
        : builder.add('way', alternatives(expression.ways.map((way) => writeExpression(way, writer))));
    case 'repetition':
      return repeated(repeatable(expression.of, writer), expression.min, expression.max);
    default:
      throw expression satisfies never;
  }
}

/** A character class, or a rule of its own. */
function repeatable(expression: Expression, writer: ExpressionWriter): string {
  if (expression.kind === 'character' && writer.isOne(expression.set)) return writer.one(expression.set);
  return writer.builder.add('part', writeExpression(expression, writer));
}
