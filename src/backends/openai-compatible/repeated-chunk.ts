/**
 * Reads the text of a chunk that differs from an earlier one in nothing but its text, as nearly all chunks of a stream do,
 * without parsing its JSON: what comes before the text and after it is compared, and the text itself holds nothing that JSON
 * would write in another way. Such a chunk means what the earlier one meant, with the other text.
 */

/** No quotation mark, backslash or control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them.
const PLAIN = /^[^"\\\u0000-\u001f]+$/;
const NAME = '"content"';

export class RepeatedChunk {
  #before = '';
  /** Empty: there is nothing to compare with. */
  #after = '';

  /** `data` has been parsed: `text` is all that it tells, and is the value of a field named `content`. */
  learn(data: string, text: string): void {
    this.#after = '';
    const name = data.indexOf(NAME);
    // Another field of that name might be the one that is found.
    if (name === -1 || name !== data.lastIndexOf(NAME) || !PLAIN.test(text)) return;
    const from = data.indexOf('"', name + NAME.length) + 1;
    const to = from + text.length;
    if (from === 0 || data.slice(from, to) !== text || data[to] !== '"') return;
    this.#before = data.slice(0, from);
    this.#after = data.slice(to);
  }

  /** Undefined: it has to be parsed. */
  textOf(data: string): string | undefined {
    const from = this.#before.length;
    const to = data.length - this.#after.length;
    if (this.#after === '' || to <= from) return undefined;
    // Six times as fast as startsWith, which compares one character after the other.
    if (data.slice(to) !== this.#after || data.slice(0, from) !== this.#before) return undefined;
    const text = data.slice(from, to);
    return PLAIN.test(text) ? text : undefined;
  }
}
