/**
 * Reads one call of a tool as it comes, character by character, in either of the two ways it may be written.
 * Pure. Holds the name and, until they are taken, the arguments.
 */

import { isBlank, JsonScanner } from './json-scanner.ts';
import type { ToolFormat } from './tool-format.ts';

export interface CallReader {
  /** Absent: not known yet. */
  readonly name: string | undefined;
  readonly given: ArgumentsText;
  readonly complete: boolean;
  /** Takes the next character; `false`: it cannot stand here, and nothing may follow. */
  accept(character: string): boolean;
}

type Member = 'key' | 'name' | 'object' | 'wrapped' | 'none' | 'other';

const NAME_KEY = 'name';
const ARGUMENTS_KEYS: readonly string[] = ['arguments', 'parameters'];

/** `{"name": …, "arguments": {…}}`; the arguments may also be a string that holds the object, or be missing. */
export class JsonCall implements CallReader {
  readonly given = new ArgumentsText();
  readonly #scanner = new JsonScanner();
  #name: string | undefined;
  /** What the scanner is within, at the level of the call. */
  #member: Member | undefined;
  #key = '';
  /** The text of a key or of the name, as it is written. */
  #written = '';
  #unescaper: StringUnescaper | undefined;

  get name(): string | undefined {
    return this.#name;
  }

  get complete(): boolean {
    return this.#scanner.complete;
  }

  accept(character: string): boolean {
    const beginsValue = this.#scanner.depth === 1 && this.#scanner.atValue && !isBlank(character);
    if (!this.#scanner.accept(character)) return false;
    if (this.#member === undefined) {
      if (beginsValue && !this.#beginValue(character)) return false;
      if (!beginsValue && this.#scanner.inString) this.#begin('key');
    }
    if (!this.#go(character)) return false;
    if (this.complete && !this.given.begun) this.given.acceptNone();
    return true;
  }

  #begin(member: Member): void {
    this.#member = member;
    this.#written = '';
  }

  #beginValue(character: string): boolean {
    if (this.#key === NAME_KEY && this.#name === undefined) {
      this.#begin('name');
      return character === '"';
    }
    if (!ARGUMENTS_KEYS.includes(this.#key)) {
      this.#begin('other');
      return true;
    }
    const member = ({ '{': 'object', '"': 'wrapped', n: 'none' } as const)[character];
    if (member === undefined || this.given.begun) return false;
    this.#begin(member);
    this.#unescaper = member === 'wrapped' ? new StringUnescaper() : undefined;
    return true;
  }

  /** Takes the character into the member it belongs to, and ends the member with it. */
  #go(character: string): boolean {
    const ended = this.#scanner.depth <= 1 && !this.#scanner.inScalar;
    switch (this.#member) {
      case 'key':
      case 'name':
        this.#written += escapeControl(character);
        if (ended) this.#read(this.#member, JSON.parse(this.#written) as string);
        break;
      case 'object':
        if (!this.given.accept(character)) return false;
        break;
      case 'wrapped':
        if (ended) return this.#endWrapped();
        if (this.#written === '') this.#written = character;
        else if (!this.#unwrap(character)) return false;
        break;
      default:
    }
    if (ended) this.#member = undefined;
    return true;
  }

  #read(member: 'key' | 'name', text: string): void {
    if (member === 'key') this.#key = text;
    else this.#name = text;
  }

  #unwrap(character: string): boolean {
    const text = this.#unescaper?.push(character) ?? '';
    return [...text].every((each) => this.given.accept(each));
  }

  #endWrapped(): boolean {
    this.#member = undefined;
    if (!this.given.begun) this.given.acceptNone();
    return this.given.complete;
  }
}

/** A name, a mark, the arguments; between name and mark there may be an id, which is left out. */
export class NamedCall implements CallReader {
  readonly given = new ArgumentsText();
  readonly #form: NonNullable<ToolFormat['named']>;
  #head = '';
  #name: string | undefined;

  constructor(form: NonNullable<ToolFormat['named']>) {
    this.#form = form;
  }

  get name(): string | undefined {
    return this.#name;
  }

  get complete(): boolean {
    return this.given.complete;
  }

  accept(character: string): boolean {
    if (this.#name !== undefined) return this.given.accept(character);
    this.#head += character;
    if (this.#head.endsWith(this.#form.argumentsBegin)) {
      const head = this.#head.slice(0, -this.#form.argumentsBegin.length);
      this.#name = (head.split(this.#form.idBegins)[0] ?? '').trim();
    }
    return this.#head.length <= MAX_HEAD;
  }
}

/** Of name, id and marks together. */
const MAX_HEAD = 256;

/**
 * Collects the arguments of a call as they come, until somebody takes what there is.
 * Invariants: what was taken is the beginning of one JSON object, and once complete all of one; control characters
 * within its strings are escaped; no half of a surrogate pair is ever taken.
 */

class ArgumentsText {
  readonly #scanner = new JsonScanner();
  #untaken = '';

  /** It is an object, as far as it has come. */
  get begun(): boolean {
    return this.#scanner.depth > 0 || this.complete;
  }

  get complete(): boolean {
    return this.#scanner.complete;
  }

  /** `false`: arguments cannot go on like this. Blanks around them are no part of them. */
  accept(character: string): boolean {
    if (!this.begun && character !== '{') return isBlank(character);
    if (this.complete) return isBlank(character);
    if (!this.#scanner.accept(character)) return false;
    this.#untaken += this.#scanner.inString ? escapeControl(character) : character;
    return true;
  }

  /** There were none. */
  acceptNone(): void {
    for (const character of '{}') this.accept(character);
  }

  take(): string {
    const end = /[\uD800-\uDBFF]$/.test(this.#untaken) ? -1 : this.#untaken.length;
    const taken = this.#untaken.slice(0, end);
    this.#untaken = this.#untaken.slice(taken.length);
    return taken;
  }
}

/** Takes the escapes out of a JSON string, character by character. The string must be one. */
class StringUnescaper {
  #escape = '';

  /** What the character completes; can be empty. */
  push(character: string): string {
    if (this.#escape === '' && character !== '\\') return character;
    this.#escape += character;
    const length = this.#escape.startsWith('\\u') ? 6 : 2;
    if (this.#escape.length < length) return '';
    const text = JSON.parse(`"${this.#escape}"`) as string;
    this.#escape = '';
    return text;
  }
}

function escapeControl(character: string): string {
  return character < ' ' ? JSON.stringify(character).slice(1, -1) : character;
}
