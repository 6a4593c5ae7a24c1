/** What one generation has used so far, as its events tell it: for the settlement, however it ends. */
import type { GenerationEvent } from '../core/generation.ts';

export class TokenCount {
  #promptTokens: number;
  #answerTokens = 0;

  constructor(estimatedPromptTokens: number) {
    this.#promptTokens = estimatedPromptTokens;
  }

  get promptTokens(): number {
    return this.#promptTokens;
  }

  get answerTokens(): number {
    return this.#answerTokens;
  }

  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
        this.#promptTokens = event.promptTokens ?? this.#promptTokens;
        return;
      case 'text':
      case 'reasoning':
        // A piece is normally a token; the backend's own count replaces the sum at the end.
        this.#answerTokens += 1;
        return;
      case 'finish':
        this.#promptTokens = event.usage.promptTokens;
        this.#answerTokens = event.usage.completionTokens;
        return;
      default:
        throw event satisfies never;
    }
  }
}
