/**
 * Results of a costly function, kept for what was asked of it lately: clients send the same schema again and again.
 * Owns at most `most` results; the least recently used goes first.
 */
export class RecentResults<Result> {
  readonly #most: number;
  readonly #compute: (key: string) => Result;
  /** Least recently used first. */
  readonly #results = new Map<string, Result>();

  constructor(most: number, compute: (key: string) => Result) {
    this.#most = most;
    this.#compute = compute;
  }

  /** Throws what the function throws, each time anew. */
  of(key: string): Result {
    const known = this.#results.get(key);
    const result = known ?? this.#compute(key);
    this.#results.delete(key);
    this.#results.set(key, result);
    if (this.#results.size > this.#most) {
      const [oldest] = this.#results.keys();
      if (oldest !== undefined) this.#results.delete(oldest);
    }
    return result;
  }
}
