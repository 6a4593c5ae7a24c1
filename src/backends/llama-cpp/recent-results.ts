/**
 * Results of a costly function, refusals as well, kept for what was asked of it lately: clients send the same schema
 * again and again. Owns at most `most` of them, and none of a question that is very long; the least recently used goes
 * first.
 */
const LONGEST_KEY = 65_536;

type Outcome<Result> = { readonly result: Result } | { readonly refusal: unknown };

export class RecentResults<Result> {
  readonly #most: number;
  readonly #compute: (key: string) => Result;
  /** Least recently used first. */
  readonly #outcomes = new Map<string, Outcome<Result>>();

  constructor(most: number, compute: (key: string) => Result) {
    this.#most = most;
    this.#compute = compute;
  }

  /** Throws what the function throws. */
  of(key: string): Result {
    const outcome = this.#outcomes.get(key) ?? this.#outcomeOf(key);
    this.#outcomes.delete(key);
    if (key.length <= LONGEST_KEY) this.#outcomes.set(key, outcome);
    if (this.#outcomes.size > this.#most) {
      const [oldest] = this.#outcomes.keys();
      if (oldest !== undefined) this.#outcomes.delete(oldest);
    }
    if ('refusal' in outcome) throw outcome.refusal;
    return outcome.result;
  }

  #outcomeOf(key: string): Outcome<Result> {
    try {
      return { result: this.#compute(key) };
    } catch (refusal) {
      return { refusal };
    }
  }
}
