import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prices } from '../../../src/usage/prices.ts';

const PRICES = new Prices({
  large: { prompt: 3, cached_prompt: 0.3, completion: 15 },
  uncached: { prompt: 0.15, completion: 0.6 },
  fine: { prompt: 0.0375, completion: 0.000001 },
  answers: { completion: 1 },
});

const tokens = (promptTokens: number, cachedTokens: number, completionTokens: number) => ({
  promptTokens,
  cachedTokens,
  completionTokens,
});

describe('what tokens cost', () => {
  it.each([
    ['a prompt', 'large', tokens(1_000_000, 0, 0), 3_000_000_000],
    ['an answer', 'large', tokens(0, 0, 1_000_000), 15_000_000_000],
    ['a prompt of which a part was cached', 'large', tokens(1000, 400, 0), 600 * 3000 + 400 * 300],
    ['cached tokens without a price of their own', 'uncached', tokens(1000, 400, 10), 1000 * 150 + 10 * 600],
    ['a price of less than a billionth a token', 'fine', tokens(10, 0, 1000), 375 + 1],
    ['a model with a price for answers alone', 'answers', tokens(1000, 10, 3), 3000],
    ['a model without a price', 'unknown', tokens(1000, 0, 1000), 0],
    ['more cached tokens than the prompt has', 'large', tokens(10, 20, 0), 10 * 300],
  ])('is exact in billionths: %s', (_, model, used, costNano) => {
    expect(PRICES.costNano(model, used)).toBe(costNano);
  });

  it('is a whole number, never less for more tokens', () => {
    const amount = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1000, noNaN: true }), amount, amount, (price, fewer, more) => {
        const prices = new Prices({ m: { prompt: price, completion: price / 3 } });
        const [low, high] = [Math.min(fewer, more), Math.max(fewer, more)];
        const least = prices.costNano('m', tokens(low, 0, low));
        const most = prices.costNano('m', tokens(high, 0, high));
        expect(Number.isSafeInteger(least) && Number.isSafeInteger(most)).toBe(true);
        expect(most).toBeGreaterThanOrEqual(least);
      }),
    );
  });

  it('is that of the model that each try asked', () => {
    const tried = (model: string, completionTokens: number) => ({
      model,
      target: 't',
      slotMs: 1,
      ...tokens(0, 0, completionTokens),
    });
    expect(PRICES.costNanoOf([tried('large', 2), tried('uncached', 5), tried('unknown', 7)])).toBe(
      2 * 15_000 + 5 * 600,
    );
  });
});
