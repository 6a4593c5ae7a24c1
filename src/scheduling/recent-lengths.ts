/** The lengths of a model's recent answers, sorted: which length most of them did not exceed. Pure; owns the last hundred. */

const KEPT = 100;
const MOST = 0.9;

export class RecentLengths {
  /** In the order in which they came; the oldest is replaced. */
  readonly #lengths = new Float64Array(KEPT);
  readonly #sorted = new Float64Array(KEPT);
  #count = 0;
  #next = 0;

  /** Nine of ten were at most as long; undefined: there were none. */
  get most(): number | undefined {
    return this.#count === 0 ? undefined : this.#sorted[Math.ceil(MOST * this.#count) - 1];
  }

  add(length: number): void {
    const oldest = this.#lengths[this.#next] as number;
    this.#lengths[this.#next] = length;
    this.#next = (this.#next + 1) % KEPT;
    const sorted = this.#sorted;
    // The place that becomes free: of the oldest, or the first that was never used.
    let place = this.#count < KEPT ? this.#count : sorted.indexOf(oldest);
    this.#count = Math.min(KEPT, this.#count + 1);
    for (; place > 0 && (sorted[place - 1] as number) > length; place -= 1)
      sorted[place] = sorted[place - 1] as number;
    for (; place + 1 < this.#count && (sorted[place + 1] as number) < length; place += 1)
      sorted[place] = sorted[place + 1] as number;
    sorted[place] = length;
  }
}
