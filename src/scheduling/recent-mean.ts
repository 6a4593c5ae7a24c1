/** A moving average in which the newest value weighs a fiftieth, once there are fifty. */
const WEIGHT_OF_NEWEST = 0.02;

export class RecentMean {
  #count = 0;
  #mean: number;

  constructor(assumedBeforeAny: number) {
    this.#mean = assumedBeforeAny;
  }

  get count(): number {
    return this.#count;
  }

  get value(): number {
    return this.#mean;
  }

  add(value: number): void {
    this.#count += 1;
    this.#mean += Math.max(WEIGHT_OF_NEWEST, 1 / this.#count) * (value - this.#mean);
  }
}
