/** The random numbers of a run, from its seed, so that it can be repeated exactly. */
import { seededRandom } from '../core/seeded-random.ts';

export class RandomSource {
  /** In [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /** Normal with mean 0 and deviation 1 (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Gamma with this shape and mean 1 (Marsaglia and Tsang); shape 1 is the exponential distribution. */
  gamma(shape: number): number {
    if (shape === 1) return -Math.log(1 - this.next());
    return this.#gammaOf(shape) / shape;
  }

  /** Mean = shape. Below 1 it is drawn from shape + 1, which the method needs. */
  #gammaOf(shape: number): number {
    if (shape < 1) return this.#gammaOf(shape + 1) * (1 - this.next()) ** (1 / shape);
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }
}

/** A seed for one part of a run, so that a change of one part does not move the others. */
export function seedFor(seed: number, ...parts: readonly number[]): number {
  return parts.reduce((mixed, part) => Math.imul(mixed ^ (part + 0x9e3779b9), 0x85ebca6b) >>> 0, seed >>> 0);
}
