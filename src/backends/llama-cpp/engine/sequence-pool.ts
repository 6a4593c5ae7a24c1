/**
 * The engine's sequences. A sequence keeps what it evaluated after its request has ended, so that a prompt that
 * begins alike need not be evaluated again. Owns which sequences are idle; each is lent to one generation at a time.
 */
import type { Sequence, Token } from './library.ts';

export class SequencePool {
  /** Least recently used first. */
  readonly #idle: Sequence[];

  constructor(sequences: readonly Sequence[]) {
    this.#idle = [...sequences];
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  /** The idle sequence that shares the longest beginning with the prompt; among equals the least recently used. */
  take(prompt: Token[]): Sequence | undefined {
    let best: { readonly sequence: Sequence; readonly shared: number } | undefined;
    for (const sequence of this.#idle) {
      const shared = sequence.compareContextTokens(prompt).firstDifferentIndex;
      if (best === undefined || shared > best.shared) best = { sequence, shared };
    }
    if (best !== undefined) this.#idle.splice(this.#idle.indexOf(best.sequence), 1);
    return best?.sequence;
  }

  giveBack(sequence: Sequence): void {
    this.#idle.push(sequence);
  }
}
