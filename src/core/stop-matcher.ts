/**
 * Finds stop strings in text that arrives in pieces, and holds text back only as long as it may still become one.
 * Invariant: where it cuts depends on the text alone, never on how the text was split into pieces.
 */
interface StopResult {
  /** What may be shown now; can be empty. */
  readonly text: string;
  /** The stop string that ended the text. */
  readonly matched?: string;
}

export class StopMatcher {
  readonly #stops: readonly string[];
  /** Text not shown yet: a beginning of at least one stop string. */
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  push(piece: string): StopResult {
    if (this.#stops.length === 0) return { text: piece };
    const text = this.#held + piece;
    const match = this.#firstComplete(text);
    if (match !== undefined) {
      this.#held = '';
      return { text: text.slice(0, match.start), matched: match.stop };
    }
    const keep = this.#longestBeginning(text);
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep) };
  }

  /** The text has ended: what was held is no stop string. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** The stop string that is complete first; of those complete at the same place, the longest. */
  #firstComplete(text: string): { readonly start: number; readonly stop: string } | undefined {
    let best: { start: number; end: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start === -1) continue;
      const end = start + stop.length;
      if (best === undefined || end < best.end || (end === best.end && start < best.start))
        best = { start, end, stop };
    }
    return best;
  }

  /** How long an end of the text is that is the beginning of a stop string. */
  #longestBeginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) {
          longest = length;
          break;
        }
      }
    }
    return longest;
  }
}
