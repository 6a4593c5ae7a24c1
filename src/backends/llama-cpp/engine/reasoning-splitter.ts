/**
 * Tells the reasoning of a model from its answer: it stands between two tags at the very beginning. Pure. Invariants:
 * where it cuts depends on the text alone, never on the pieces it came in; only what can still become a tag, or is a
 * blank before or after one, is held back.
 */
export const THINK_OPEN = '<think>';
export const THINK_CLOSE = '</think>';

/** What a model writes first: never reasoning, perhaps some, or the rest of what the prompt has opened. */
export type ReasoningStart = 'none' | 'possible' | 'begun';

interface SplitText {
  /** Comes before `text`; both can be empty. */
  readonly reasoning: string;
  readonly text: string;
}

type Phase = 'before' | 'reasoning-begins' | 'reasoning' | 'answer-begins' | 'answer';

export class ReasoningSplitter {
  #phase: Phase;
  /** Neither reasoning nor answer yet. */
  #held = '';

  /** `begun`: the prompt itself has opened the reasoning. */
  constructor({ begun }: { readonly begun: boolean }) {
    this.#phase = begun ? 'reasoning-begins' : 'before';
  }

  /** The reasoning, where there is any, is over. */
  get inAnswer(): boolean {
    return this.#isAt('answer');
  }

  /** Between the first character of an opening tag and the first of the answer. */
  get inReasoning(): boolean {
    return this.#isAt('reasoning-begins') || this.#isAt('reasoning') || this.#isAt('answer-begins');
  }

  push(piece: string): SplitText {
    if (this.#isAt('answer')) return { reasoning: '', text: piece };
    let rest = this.#held + piece;
    this.#held = '';
    if (this.#isAt('before')) rest = this.#enter(rest);
    if (this.#isAt('reasoning-begins')) rest = this.#withoutNewlines(rest, 'reasoning');
    let reasoning = '';
    if (this.#isAt('reasoning')) [reasoning, rest] = this.#cutAtEnd(rest);
    if (this.#isAt('answer-begins')) rest = this.#withoutNewlines(rest, 'answer');
    return { reasoning, text: this.#isAt('answer') ? rest : '' };
  }

  /** The text has ended: what was held back is no tag. */
  flush(): SplitText {
    const held = this.#held;
    this.#held = '';
    return this.#isAt('before') ? { reasoning: '', text: held } : { reasoning: held, text: '' };
  }

  #isAt(phase: Phase): boolean {
    return this.#phase === phase;
  }

  /** What follows the opening tag, or all of a text that has none. */
  #enter(text: string): string {
    const first = text.trimStart();
    if (first.startsWith(THINK_OPEN)) {
      this.#phase = 'reasoning-begins';
      return first.slice(THINK_OPEN.length);
    }
    if (THINK_OPEN.startsWith(first)) {
      this.#held = text;
      return '';
    }
    this.#phase = 'answer';
    return text;
  }

  #withoutNewlines(text: string, next: 'reasoning' | 'answer'): string {
    const rest = text.replace(/^[\r\n]+/, '');
    if (rest !== '') this.#phase = next;
    return rest;
  }

  /** The reasoning in `text`, and what comes after its end. */
  #cutAtEnd(text: string): [reasoning: string, rest: string] {
    const end = text.indexOf(THINK_CLOSE);
    if (end !== -1) {
      this.#phase = 'answer-begins';
      return [text.slice(0, end), text.slice(end + THINK_CLOSE.length)];
    }
    let held = Math.min(THINK_CLOSE.length - 1, text.length);
    while (!text.endsWith(THINK_CLOSE.slice(0, held))) held -= 1;
    this.#held = text.slice(text.length - held);
    return [text.slice(0, text.length - held), ''];
  }
}
