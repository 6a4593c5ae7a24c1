/**
 * Reads one call of a tool as it comes, character by character, in either of the two ways it may be written.
 * Pure. Holds the name and, until they are taken, the arguments.
 */
import { ArgumentsText, escapeControl, StringUnescaper } from './arguments-text.ts';
import { JsonScanner } from './json-scanner.ts';
import { isBlank } from './text-edges.ts';
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
    return this.#head.length <= LONGEST_HEAD;
  }
}

/** Of name, id and marks together. */
const LONGEST_HEAD = 256;
