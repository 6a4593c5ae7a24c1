/** A seeded source of random numbers (mulberry32), so that a run can be repeated exactly. */
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
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
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
