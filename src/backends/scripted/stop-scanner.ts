/** Finds stop strings in text that comes in pieces, holding back what could still become one. */
export interface Scanned {
  /** Text that is safe to give away now; may be empty. */
  readonly text: string;
  readonly matched?: string;
}

export class StopScanner {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  push(piece: string): Scanned {
    const text = this.#held + piece;
    const match = this.#firstMatch(text);
    if (match !== undefined) {
      this.#held = '';
      return { text: text.slice(0, match.index), matched: match.stop };
    }
    const safe = text.length - this.#possibleStart(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe) };
  }

  /** The generation is over: what was held back is text after all. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  #firstMatch(text: string): { index: number; stop: string } | undefined {
    let first: { index: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const index = text.indexOf(stop);
      if (index !== -1 && (first === undefined || index < first.index)) first = { index, stop };
    }
    return first;
  }

  /** Length of the longest end of `text` that is the start of a stop string. */
  #possibleStart(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
