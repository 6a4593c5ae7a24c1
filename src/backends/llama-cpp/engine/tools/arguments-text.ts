/**
 * Collects the arguments of a call as they come, until somebody takes what there is.
 * Invariants: what was taken is the beginning of one JSON object, and once complete all of one; control characters
 * within its strings are escaped; no half of a surrogate pair is ever taken.
 */
import { JsonScanner } from './json-scanner.ts';
import { isBlank } from './text-edges.ts';

export class ArgumentsText {
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
export class StringUnescaper {
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

export function escapeControl(character: string): string {
  return character < ' ' ? JSON.stringify(character).slice(1, -1) : character;
}
