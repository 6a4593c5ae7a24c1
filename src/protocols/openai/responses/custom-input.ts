/**
 * Reads the text of a custom tool's call out of the arguments that a model writes for it, `{"input":"…"}`, while they arrive.
 * Owned by one call. Invariant: what `add` and `end` return is, joined, the input, and never half a character.
 */
const OPENING = /^\s*\{\s*"input"\s*:\s*"/;
/** A beginning of the opening. */
const MAY_OPEN = /^\s*(\{\s*("(i(n(p(u(t("(\s*(:\s*)?)?)?)?)?)?)?)?)?)?$/;

export class CustomInputReader {
  #text = '';
  #raw = '';
  #state: 'opening' | 'reading' | 'closed' | 'other' = 'opening';

  /** All that has been returned so far. */
  get text(): string {
    return this.#text;
  }

  add(piece: string): string {
    if (this.#state === 'closed') return '';
    this.#raw += piece;
    if (this.#state === 'opening') {
      const opening = OPENING.exec(this.#raw);
      if (opening === null) {
        if (!MAY_OPEN.test(this.#raw)) this.#state = 'other';
      } else {
        this.#state = 'reading';
        this.#raw = this.#raw.slice(opening[0].length);
      }
    }
    return this.#state === 'reading' ? this.#read() : '';
  }

  /** Arguments of another shape are returned as they are. */
  end(): string {
    if (this.#state === 'reading' || this.#state === 'closed') return '';
    this.#state = 'closed';
    return this.#give(onlyText(this.#raw));
  }

  #read(): string {
    const { end, closes } = readable(this.#raw);
    const piece = JSON.parse(`"${this.#raw.slice(0, end)}"`) as string;
    this.#raw = this.#raw.slice(end);
    if (closes) this.#state = 'closed';
    return this.#give(piece);
  }

  #give(piece: string): string {
    this.#text += piece;
    return piece;
  }
}

export function customInputOf(text: string): string {
  const input = new CustomInputReader();
  return input.add(text) + input.end();
}

const ESCAPED = /^["\\/bfnrt]/;
const UNICODE = /^u[0-9a-fA-F]{4}/;
const HIGH_HALF = /^u[dD][89abAB]/;

/** How much of the text of a JSON string can be read by now, and whether its closing quote comes next. */
function readable(raw: string): { readonly end: number; readonly closes: boolean } {
  let at = 0;
  while (at < raw.length) {
    const character = raw[at];
    if (character === '"') return { end: at, closes: true };
    if (character !== '\\') {
      // A control character is no part of a JSON string: the model's error, and the end of what can be read.
      if (raw.charCodeAt(at) < 0x20) return { end: at, closes: true };
      at += 1;
      continue;
    }
    const rest = raw.slice(at + 1, at + 12);
    if (ESCAPED.test(rest)) at += 2;
    else if (UNICODE.test(rest)) {
      // The second half of a pair must come with the first.
      if (HIGH_HALF.test(rest) && rest.length < 11 && '\\u'.startsWith(rest.slice(5, 7)))
        return { end: at, closes: false };
      at += HIGH_HALF.test(rest) && rest.startsWith('\\u', 5) ? 12 : 6;
    } else return { end: at, closes: !(rest === '' || 'u'.startsWith(rest[0] ?? '')) };
  }
  return { end: at, closes: false };
}

/** The text in an object that holds one alone; otherwise all as it stands. */
function onlyText(raw: string): string {
  try {
    const values = Object.values(JSON.parse(raw) as object);
    const texts = values.filter((value) => typeof value === 'string');
    if (values.length > 0 && texts.length === 1) return texts[0] ?? '';
    return values.length === 0 ? '' : raw;
  } catch {
    return raw;
  }
}
