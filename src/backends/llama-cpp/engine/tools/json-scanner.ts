/**
 * Checks JSON as it comes, character by character, and stops at the first character that cannot continue an object or a
 * list. Accepts control characters within strings, which models write and which are escaped later. Pure; holds one
 * character per open bracket, and no text. Why it is no library: docs/decisions/0043-json-scanner.md.
 */

const MAX_DEPTH = 128;
const MAX_NUMBER_LENGTH = 64;

type State =
  | 'container'
  | 'value'
  | 'item-or-end'
  | 'key'
  | 'key-or-end'
  | 'colon'
  | 'comma-or-end'
  | 'string'
  | 'escape'
  | 'hex'
  | 'word'
  | NumberState
  | 'complete';

type NumberState = 'minus' | 'zero' | 'whole' | 'point' | 'fraction' | 'e' | 'sign' | 'exponent';

const DIGITS = '0123456789';
/** The next state for each character that may follow within a number. */
const NUMBER: Readonly<Record<NumberState, Readonly<Partial<Record<string, NumberState>>>>> = {
  minus: { '0': 'zero', ...each('123456789', 'whole') },
  zero: { '.': 'point', ...each('eE', 'e') },
  whole: { ...each(DIGITS, 'whole'), '.': 'point', ...each('eE', 'e') },
  point: each(DIGITS, 'fraction'),
  fraction: { ...each(DIGITS, 'fraction'), ...each('eE', 'e') },
  e: { ...each('+-', 'sign'), ...each(DIGITS, 'exponent') },
  sign: each(DIGITS, 'exponent'),
  exponent: each(DIGITS, 'exponent'),
};
const NUMBER_MAY_END: readonly State[] = ['zero', 'whole', 'fraction', 'exponent'];
const NUMBER_BEGINS: Readonly<Partial<Record<string, NumberState>>> = { '-': 'minus', ...NUMBER.minus };
const WORDS = ['true', 'false', 'null'];

export class JsonScanner {
  #state: State = 'container';
  /** Open brackets. */
  #open = '';
  #inKey = false;
  /** The rest of a word. */
  #left = '';
  /** Of a number so far, or of an escape still to come. */
  #length = 0;

  get depth(): number {
    return this.#open.length;
  }

  get complete(): boolean {
    return this.#state === 'complete';
  }

  /** The next character, blanks aside, begins a value or ends a list. */
  get atValue(): boolean {
    return this.#state === 'value' || this.#state === 'item-or-end';
  }

  get inString(): boolean {
    return this.#state === 'string' || this.#state === 'escape' || this.#state === 'hex';
  }

  /** Within a key, string, number or word. */
  get inScalar(): boolean {
    return this.inString || this.#state === 'word' || this.#inNumber;
  }

  get #inNumber(): boolean {
    return Object.hasOwn(NUMBER, this.#state);
  }

  /** `false`: the character cannot stand here. Then nothing has changed, and no other may follow. */
  accept(character: string): boolean {
    if (NUMBER_MAY_END.includes(this.#state) && NUMBER[this.#state as NumberState][character] === undefined)
      this.#state = 'comma-or-end';
    switch (this.#state) {
      case 'string':
        return this.#inString(character);
      case 'escape':
        return this.#escape(character);
      case 'hex':
        if (!/^[\da-f]$/i.test(character)) return false;
        this.#length -= 1;
        if (this.#length === 0) this.#state = 'string';
        return true;
      case 'word':
        return this.#inWord(character);
      case 'complete':
        return false;
      default:
        return this.#inNumber ? this.#number(character) : isBlank(character) || this.#structure(character);
    }
  }

  #structure(character: string): boolean {
    switch (this.#state) {
      case 'container':
        return this.#enter(character);
      case 'item-or-end':
        return (character === ']' && this.#leave(character)) || this.#beginValue(character);
      case 'value':
        return this.#beginValue(character);
      case 'key-or-end':
        return (character === '}' && this.#leave(character)) || this.#beginKey(character);
      case 'key':
        return this.#beginKey(character);
      case 'colon':
        if (character !== ':') return false;
        this.#state = 'value';
        return true;
      case 'comma-or-end':
        if (character !== ',') return this.#leave(character);
        this.#state = this.#open.endsWith('{') ? 'key' : 'value';
        return true;
      default:
        return false;
    }
  }

  #enter(bracket: string): boolean {
    if ((bracket !== '{' && bracket !== '[') || this.depth === MAX_DEPTH) return false;
    this.#open += bracket;
    this.#state = bracket === '{' ? 'key-or-end' : 'item-or-end';
    return true;
  }

  #leave(bracket: string): boolean {
    if (!this.#open.endsWith(bracket === '}' ? '{' : '[') || (bracket !== '}' && bracket !== ']'))
      return false;
    this.#open = this.#open.slice(0, -1);
    this.#state = this.#open === '' ? 'complete' : 'comma-or-end';
    return true;
  }

  #beginKey(character: string): boolean {
    if (character !== '"') return false;
    this.#inKey = true;
    this.#state = 'string';
    return true;
  }

  #beginValue(character: string): boolean {
    const number = NUMBER_BEGINS[character];
    const word = WORDS.find((each) => each.startsWith(character));
    if (character === '"') {
      this.#inKey = false;
      this.#state = 'string';
    } else if (number !== undefined) {
      this.#length = 1;
      this.#state = number;
    } else if (word !== undefined) {
      this.#left = word.slice(1);
      this.#state = 'word';
    } else {
      return this.#enter(character);
    }
    return true;
  }

  #inString(character: string): boolean {
    if (character === '\\') this.#state = 'escape';
    else if (character === '"') this.#state = this.#inKey ? 'colon' : 'comma-or-end';
    return true;
  }

  #escape(character: string): boolean {
    if (!'"\\/bfnrtu'.includes(character)) return false;
    this.#length = 4;
    this.#state = character === 'u' ? 'hex' : 'string';
    return true;
  }

  #inWord(character: string): boolean {
    if (!this.#left.startsWith(character)) return false;
    this.#left = this.#left.slice(1);
    if (this.#left === '') this.#state = 'comma-or-end';
    return true;
  }

  #number(character: string): boolean {
    const next = NUMBER[this.#state as NumberState][character];
    if (next === undefined || this.#length === MAX_NUMBER_LENGTH) return false;
    this.#length += 1;
    this.#state = next;
    return true;
  }
}

function each(characters: string, state: NumberState): Readonly<Record<string, NumberState>> {
  return Object.fromEntries([...characters].map((character) => [character, state]));
}

/** White space of JSON. */
export function isBlank(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t';
}
