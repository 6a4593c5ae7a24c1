/** How long answers are, where some are cut off: by bounds of their clients, or because those left. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/seeded-random.ts';
import { AnswerLengths } from '../../../src/scheduling/answer-lengths.ts';

const MEAN = 500;
/** Of an exponential distribution: nine of ten are at most as long. */
const MOST = MEAN * Math.log(10);

/** Answers of random lengths, each cut off at a random bound; what is assumed of them on average afterwards. */
function learned({ longestBound, seed }: { readonly longestBound: number; readonly seed: number }) {
  const random = seededRandom(seed);
  const lengths = new AnswerLengths();
  const [warmUp, answers] = [1000, 4000];
  let [means, most, cut] = [0, 0, 0];
  for (let count = 0; count < warmUp + answers; count += 1) {
    const length = Math.ceil(-MEAN * Math.log(1 - random()));
    const bound = Math.ceil(longestBound * random());
    if (bound < length) cut += 1;
    lengths.add(Math.min(length, bound), length <= bound);
    if (count < warmUp) continue;
    means += lengths.mean ?? 0;
    most += lengths.most ?? 0;
  }
  return { mean: means / answers, most: most / answers, cut: cut / (warmUp + answers) };
}

describe('the lengths of answers', () => {
  it.each([1, 2, 3])('are learned as well where many are cut off as where none is (seed %d)', (seed) => {
    const whole = learned({ longestBound: 1e9, seed });
    const bounded = learned({ longestBound: 3000, seed });
    expect(whole.cut).toBe(0);
    expect(bounded.cut).toBeGreaterThan(0.14);
    for (const { mean, most } of [whole, bounded]) {
      expect(Math.abs(mean / MEAN - 1)).toBeLessThan(0.06);
      expect(Math.abs(most / MOST - 1)).toBeLessThan(0.06);
    }
  });

  it('are not made longer than they are where most are cut off, nor much shorter', () => {
    const { mean, most, cut } = learned({ longestBound: 700, seed: 7 });
    expect(cut).toBeGreaterThan(0.5);
    expect(mean).toBeGreaterThan(0.7 * MEAN);
    expect(mean).toBeLessThan(MEAN);
    // Nobody has seen one that is longer.
    expect(most).toBeLessThanOrEqual(700);
    expect(most).toBeGreaterThan(650);
  });

  it('come down again after some very long ones were cut off', () => {
    const lengths = new AnswerLengths();
    for (let count = 0; count < 100; count += 1) lengths.add(300, true);
    for (let count = 0; count < 11; count += 1) lengths.add(30_000, false);
    for (let count = 0; count < 60; count += 1) lengths.add(300, true);
    expect(lengths.most).toBe(300);
    for (let count = 0; count < 200; count += 1) lengths.add(300, true);
    expect(Math.abs((lengths.mean ?? 0) - 300)).toBeLessThan(60);
  });

  it.each([1, 2, 50, 299, 300, 301, 2000])(
    'are never made to look shorter by those that were cut off after %d tokens',
    (at) => {
      const random = seededRandom(11);
      const lengths = new AnswerLengths();
      for (let count = 0; count < 200; count += 1) lengths.add(Math.ceil(1000 * random()), true);
      let before = { mean: lengths.mean ?? 0, most: lengths.most ?? 0 };
      for (let count = 0; count < 500; count += 1) {
        lengths.add(at, false);
        const now = { mean: lengths.mean ?? 0, most: lengths.most ?? 0 };
        expect(now.mean).toBeGreaterThanOrEqual(before.mean - 1e-6);
        expect(now.most).toBeGreaterThanOrEqual(before.most);
        before = now;
      }
    },
  );

  it('are not made to look longer by those that were cut off after a few tokens', () => {
    const lengths = new AnswerLengths();
    for (let count = 0; count < 100; count += 1) lengths.add(100 + 4 * count, true);
    const [mean, most] = [lengths.mean, lengths.most];
    for (let count = 0; count < 5000; count += 1) lengths.add(1, false);
    expect([lengths.mean, lengths.most]).toEqual([mean, most]);
  });

  it('are not known before any answer; of those that were all cut off, the longest is the least that is likely', () => {
    const lengths = new AnswerLengths();
    expect([lengths.mean, lengths.most]).toEqual([undefined, undefined]);
    for (const length of [7, 40, 12]) lengths.add(length, false);
    expect([lengths.mean, lengths.most]).toEqual([undefined, 40]);
    lengths.add(0, true);
    expect(lengths.mean).toBe(0.75 * 40);
  });

  it('are exact where all are equal, whatever they are, 0 and very long ones included', () => {
    for (const length of [0, 1, 2, 3, 1000, 10_000_000, 1e9]) {
      const lengths = new AnswerLengths();
      for (let count = 0; count < 300; count += 1) lengths.add(length, true);
      expect(lengths.most).toBe(length);
      expect(lengths.mean).toBeCloseTo(length, 5);
    }
  });

  it('follow when answers become shorter or longer', () => {
    const lengths = new AnswerLengths();
    for (let count = 0; count < 100; count += 1) lengths.add(1000, true);
    for (let count = 0; count < 300; count += 1) lengths.add(100, true);
    expect(lengths.mean).toBeLessThan(105);
    for (let count = 0; count < 300; count += 1) lengths.add(5000, true);
    expect(lengths.mean).toBeGreaterThan(4900);
  });
});
