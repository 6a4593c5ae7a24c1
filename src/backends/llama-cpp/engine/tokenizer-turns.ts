/**
 * When tokenizer requests are answered beside generations: the engine does nothing else while it answers one, so after each the steps
 * get as long as it took before the next one has its turn. Whoever tokenizes without end thereby takes half of the engine's time, not
 * nearly all of it. Owns those that wait: at most one of each process, which sends its next one when it has the answer.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import type { EngineTokenizerRequest } from '../messages.ts';
import type { TokenizerHandler } from './vocabulary.ts';

interface TokenizerTurnsOptions {
  readonly answer: TokenizerHandler;
  /** Whether generations make steps now. */
  readonly isStepping: () => boolean;
  readonly now: () => Milliseconds;
}

export class TokenizerTurns {
  readonly #options: TokenizerTurnsOptions;
  readonly #waiting: EngineTokenizerRequest[] = [];
  #notBefore: Milliseconds = 0;

  constructor(options: TokenizerTurnsOptions) {
    this.#options = options;
  }

  add(request: EngineTokenizerRequest): void {
    const { isStepping } = this.#options;
    if (isStepping() && (this.#waiting.length > 0 || !this.#isDue)) this.#waiting.push(request);
    else this.#answer(request);
  }

  /** A step computes on the other threads. */
  decoding(): void {
    if (this.#waiting.length > 0 && this.#isDue) this.#answerNext();
  }

  /** No step is due any more. */
  rested(): void {
    while (this.#waiting.length > 0) this.#answerNext();
  }

  get #isDue(): boolean {
    return this.#options.now() >= this.#notBefore;
  }

  #answerNext(): void {
    const request = this.#waiting.shift();
    if (request !== undefined) this.#answer(request);
  }

  #answer(request: EngineTokenizerRequest): void {
    const { answer, now } = this.#options;
    const startedAt = now();
    answer(request);
    const endedAt = now();
    this.#notBefore = endedAt + (endedAt - startedAt);
  }
}
