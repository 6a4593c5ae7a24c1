/** Collects what an answer consists of, in order, until somebody takes it. Neighbours of one kind are joined. */
export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  /** Its arguments follow. */
  | { readonly type: 'call'; readonly index: number; readonly name: string }
  | { readonly type: 'arguments'; readonly index: number; readonly delta: string }
  /** The arguments have come to their end. */
  | { readonly type: 'complete'; readonly index: number };

export class AnswerParts {
  #parts: AnswerPart[] = [];
  #calls = 0;

  text(text: string): void {
    if (text === '') return;
    const last = this.#parts.at(-1);
    if (last?.type !== 'text') this.#parts.push({ type: 'text', text });
    else this.#parts[this.#parts.length - 1] = { type: 'text', text: last.text + text };
  }

  call(name: string): void {
    this.#parts.push({ type: 'call', index: this.#calls, name });
    this.#calls += 1;
  }

  /** Of the last call. */
  arguments(delta: string): void {
    if (delta !== '') this.#parts.push({ type: 'arguments', index: this.#calls - 1, delta });
  }

  /** The last call is. */
  complete(): void {
    this.#parts.push({ type: 'complete', index: this.#calls - 1 });
  }

  take(): readonly AnswerPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }
}
