/**
 * Turns tokens into text as they come. A token may end within a character: then that character waits for the rest.
 * Invariant: no U+FFFD and no half character ever leaves; bytes that are not UTF-8 are dropped.
 */
import type { Model, Token } from './library.ts';

const REPLACEMENT = '\uFFFD';
/** An incomplete character is at most three bytes long, each token at least one. */
const INCOMPLETE_TOKENS_AT_MOST = 4;
/** Some tokenizers write a token differently at the start of a text: they are shown what came before. */
const TOKENS_BEFORE = 3;

export class TokenDecoder {
  readonly #model: Pick<Model, 'detokenize'>;
  /** Tokens whose text is settled. */
  #before: Token[];
  /** Tokens of which the last character is not complete. */
  #open: Token[] = [];
  /** Characters of the open tokens' text that have left already. */
  #emitted = 0;

  constructor(model: Pick<Model, 'detokenize'>, precedingTokens: readonly Token[]) {
    this.#model = model;
    this.#before = precedingTokens.slice(-TOKENS_BEFORE);
  }

  push(token: Token): string {
    this.#open.push(token);
    const text = this.#detokenize();
    // Of an incomplete character the text shows exactly one replacement character, at its very end.
    const end = text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
    const piece = text.slice(this.#emitted, end);
    if (end === text.length) this.#settle(this.#open.length);
    else this.#emitted = end;
    if (this.#open.length > INCOMPLETE_TOKENS_AT_MOST) {
      this.#settle(this.#open.length - INCOMPLETE_TOKENS_AT_MOST);
      this.#emitted = this.#detokenize().length - 1;
    }
    return piece.includes(REPLACEMENT) ? piece.replaceAll(REPLACEMENT, '') : piece;
  }

  #detokenize(): string {
    return this.#model.detokenize(this.#open, false, this.#before);
  }

  #settle(count: number): void {
    this.#before = [...this.#before, ...this.#open.slice(0, count)].slice(-TOKENS_BEFORE);
    this.#open = this.#open.slice(count);
    this.#emitted = 0;
  }
}
