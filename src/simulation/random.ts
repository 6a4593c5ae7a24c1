/** The random numbers of a simulation, from its seed, so that it can be repeated exactly. */
import { seededRandom } from '../core/seeded-random.ts';

export interface RandomSource {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  /** The time between two arrivals of a Poisson process. */
  exponential(mean: number): number;
  /** One of `choices`, each as often as its `share` says; the shares add up to 1. */
  choose<Choice extends { readonly share: number }>(choices: readonly Choice[]): Choice;
}

export function randomSource(seed: number): RandomSource {
  const next = seededRandom(seed);
  return {
    next,
    integer: (min, max) => min + Math.floor(next() * (max - min + 1)),
    exponential: (mean) => -mean * Math.log(1 - next()),
    choose: (choices) => {
      let left = next();
      for (const choice of choices) {
        left -= choice.share;
        if (left < 0) return choice;
      }
      const last = choices.at(-1);
      if (last === undefined) throw new Error('there is nothing to choose from');
      return last;
    },
  };
}
