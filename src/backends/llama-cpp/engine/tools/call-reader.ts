/**
 * Reads one tool call as it comes, character by character: as one JSON object, or as a name and its arguments. Pure.
 * Holds the name and, until they are taken, the arguments.
 */
import { isBlank, JsonScanner } from './json-scanner.ts';
import type { ToolSyntax } from './tool-syntax.ts';

export interface CallReader {
  /** Undefined: not known yet. */
  readonly name: string | undefined;
  readonly argumentsText: ArgumentsText;
  readonly complete: boolean;
  /** `false`: the character cannot stand here, and no other may follow. */
  accept(character: string): boolean;
}

/** `quoted`: arguments within a string. */
type Member = 'key' | 'name' | 'object' | 'quoted' | 'none' | 'other';

/** Of name, id and marks together. */
const MAX_HEAD = 256;
const NAME_KEY = 'name';
const ARGUMENTS_KEYS: readonly string[] = ['arguments', 'parameters'];

/** `{"name": …, "arguments": {…}}`. The arguments may also be a string that contains the object, or be absent. */
export class JsonCall implements CallReader {
  readonly argumentsText = new ArgumentsText();
  readonly #scanner = new JsonScanner();
  #name: string | undefined;
  /** The member of the call that the scanner is in. */
  #member: Member | undefined;
  #key = '';
  /** The text of a key or of the name, as it was written. */
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
    if (!this.#acceptInMember(character)) return false;
    if (this.complete && !this.argumentsText.begun) this.argumentsText.acceptNone();
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
    const member = ({ '{': 'object', '"': 'quoted', n: 'none' } as const)[character];
    if (member === undefined || this.argumentsText.begun) return false;
    this.#begin(member);
    this.#unescaper = member === 'quoted' ? new StringUnescaper() : undefined;
    return true;
  }

  /** Adds the character to its member, and ends the member if it is the last. */
  #acceptInMember(character: string): boolean {
    const ended = this.#scanner.depth <= 1 && !this.#scanner.inScalar;
    switch (this.#member) {
      case 'key':
      case 'name':
        this.#written += escapeControl(character);
        if (ended) this.#setText(this.#member, JSON.parse(this.#written) as string);
        break;
      case 'object':
        if (!this.argumentsText.accept(character)) return false;
        break;
      case 'quoted':
        if (ended) return this.#endQuoted();
        if (this.#written === '') this.#written = character;
        else if (!this.#unquote(character)) return false;
        break;
      default:
    }
    if (ended) this.#member = undefined;
    return true;
  }

  #setText(member: 'key' | 'name', text: string): void {
    if (member === 'key') this.#key = text;
    else this.#name = text;
  }

  #unquote(character: string): boolean {
    const text = this.#unescaper?.push(character) ?? '';
    return [...text].every((each) => this.argumentsText.accept(each));
  }

  #endQuoted(): boolean {
    this.#member = undefined;
    if (!this.argumentsText.begun) this.argumentsText.acceptNone();
    return this.argumentsText.complete;
  }
}

/** A name, a mark, the arguments. Between name and mark there may be an id, which is ignored. */
export class NamedCall implements CallReader {
  readonly argumentsText = new ArgumentsText();
  readonly #marks: NonNullable<ToolSyntax['named']>;
  #head = '';
  #name: string | undefined;

  constructor(marks: NonNullable<ToolSyntax['named']>) {
    this.#marks = marks;
  }

  get name(): string | undefined {
    return this.#name;
  }

  get complete(): boolean {
    return this.argumentsText.complete;
  }

  accept(character: string): boolean {
    if (this.#name !== undefined) return this.argumentsText.accept(character);
    this.#head += character;
    if (this.#head.endsWith(this.#marks.argumentsBegin)) {
      const head = this.#head.slice(0, -this.#marks.argumentsBegin.length);
      this.#name = (head.split(this.#marks.idBegins)[0] ?? '').trim();
    }
    return this.#head.length <= MAX_HEAD;
  }
}

/**
 * Collects the arguments of a call until they are taken. Invariants: what was taken is the beginning of one JSON object,
 * and all of it once it is complete; control characters within its strings are escaped; no half of a surrogate pair is
 * taken.
 */
class ArgumentsText {
  readonly #scanner = new JsonScanner();
  #untaken = '';

  /** The object has begun. */
  get begun(): boolean {
    return this.#scanner.depth > 0 || this.complete;
  }

  get complete(): boolean {
    return this.#scanner.complete;
  }

  /** `false`: the character cannot stand here. Blanks around the object are not part of it. */
  accept(character: string): boolean {
    if (!this.begun && character !== '{') return isBlank(character);
    if (this.complete) return isBlank(character);
    if (!this.#scanner.accept(character)) return false;
    this.#untaken += this.#scanner.inString ? escapeControl(character) : character;
    return true;
  }

  /** For a call without arguments. */
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

/** Decodes the escapes of a valid JSON string, character by character. */
class StringUnescaper {
  #escape = '';

  /** The text that the character completes; can be empty. */
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
