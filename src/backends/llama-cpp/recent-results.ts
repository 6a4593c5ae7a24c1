/**
 * A cache of the results of a costly function, by its text argument: clients send the same schema again and again. Owns
 * at most `max` results and none of a very long argument; the least recently used goes first.
 */
const MAX_KEY_LENGTH = 65_536;

export class RecentResults<Result> {
  readonly #max: number;
  /** Least recently used first. */
  readonly #results = new Map<string, Result>();

  constructor(max: number) {
    this.#max = max;
  }

  of(key: string, compute: (key: string) => Result): Result {
    const known = this.get(key);
    if (known !== undefined) return known;
    const result = compute(key);
    this.set(key, result);
    return result;
  }

  get(key: string): Result | undefined {
    const result = this.#results.get(key);
    if (result !== undefined) this.set(key, result);
    return result;
  }

  set(key: string, result: Result): void {
    this.#results.delete(key);
    if (key.length <= MAX_KEY_LENGTH) this.#results.set(key, result);
    if (this.#results.size <= this.#max) return;
    const [oldest] = this.#results.keys();
    if (oldest !== undefined) this.#results.delete(oldest);
  }
}
