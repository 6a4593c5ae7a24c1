/** Counts what one try of a generation has used, from its events. */
import type { UsedTokens } from '../core/consumption.ts';
import type { GenerationEvent } from '../core/generation.ts';

export class TokenCount implements UsedTokens {
  promptTokens = 0;
  cachedTokens = 0;
  answerTokens = 0;

  /** The backend has the prompt: it counts from now on, by estimate until the backend reports the number. */
  begin(estimatedPromptTokens: number): void {
    this.promptTokens = estimatedPromptTokens;
  }

  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
        this.promptTokens = event.promptTokens || this.promptTokens;
        this.cachedTokens = event.cachedTokens || this.cachedTokens;
        return;
      case 'text':
        this.answerTokens += event.logprobs?.length || 1;
        return;
      case 'reasoning':
      case 'tool-call':
      case 'tool-arguments':
        // A piece is usually a token; the backend's own count replaces the sum at the end.
        this.answerTokens += 1;
        return;
      case 'finish':
        // Servers that do not count report 0.
        this.promptTokens = event.usage.promptTokens || this.promptTokens;
        this.cachedTokens = event.usage.cachedTokens || this.cachedTokens;
        this.answerTokens = event.usage.completionTokens || this.answerTokens;
        return;
      default:
        throw event satisfies never;
    }
  }
}
