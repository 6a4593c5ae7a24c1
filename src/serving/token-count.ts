/** What one generation has used so far, as its events tell it: for the settlement, however it ends. */
import type { GenerationEvent } from '../core/generation.ts';

export class TokenCount {
  #promptTokens = 0;
  #cachedTokens = 0;
  #answerTokens = 0;

  get promptTokens(): number {
    return this.#promptTokens;
  }

  /** Of the prompt's. */
  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  get answerTokens(): number {
    return this.#answerTokens;
  }

  /** The backend has the prompt: from now on it counts, by estimate until the backend tells the number. */
  begin(estimatedPromptTokens: number): void {
    this.#promptTokens = estimatedPromptTokens;
  }

  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
        this.#promptTokens = event.promptTokens || this.#promptTokens;
        this.#cachedTokens = event.cachedTokens || this.#cachedTokens;
        return;
      case 'text':
        this.#answerTokens += event.logprobs?.length || 1;
        return;
      case 'reasoning':
      case 'tool-call':
      case 'tool-arguments':
        // A piece is normally a token; the backend's own count replaces the sum at the end.
        this.#answerTokens += 1;
        return;
      case 'finish':
        // 0 is what is told by servers that do not count.
        this.#promptTokens = event.usage.promptTokens || this.#promptTokens;
        this.#cachedTokens = event.usage.cachedTokens || this.#cachedTokens;
        this.#answerTokens = event.usage.completionTokens || this.#answerTokens;
        return;
      default:
        throw event satisfies never;
    }
  }
}
