/**
 * What tokens cost, by the price of their model, in whole billionths of the currency's unit: sums of them have no rounding errors. Pure.
 */
import type { ConsumedTokens, ConsumedTry } from '../core/consumption.ts';

/** Per 1,000,000 tokens, in units of the currency. Absent: they cost nothing; cached ones cost what others do. */
export interface ModelPrice {
  readonly prompt?: number | undefined;
  readonly cached_prompt?: number | undefined;
  readonly completion?: number | undefined;
}

/** Of one token, in whole trillionths of the currency's unit: as fine as a price per 1,000,000 with six decimals. */
interface TokenPrice {
  readonly prompt: number;
  readonly cachedPrompt: number;
  readonly completion: number;
}

const PICO_PER_TOKEN = 1_000_000;
const PICO_PER_NANO = 1000;

export class Prices {
  readonly #byModel: ReadonlyMap<string, TokenPrice>;

  constructor(models: Readonly<Record<string, ModelPrice>>) {
    this.#byModel = new Map(Object.entries(models).map(([model, price]) => [model, tokenPriceOf(price)]));
  }

  /** Rounded once. 0 of a model without a price. */
  costNano(model: string, tokens: ConsumedTokens): number {
    const price = this.#byModel.get(model);
    if (price === undefined) return 0;
    const { promptTokens, cachedTokens, completionTokens } = tokens;
    // A server may report more cached tokens than its prompt has.
    const cached = Math.min(cachedTokens, promptTokens);
    const pico =
      (promptTokens - cached) * price.prompt +
      cached * price.cachedPrompt +
      completionTokens * price.completion;
    return Math.round(pico / PICO_PER_NANO);
  }

  /** Of all tries together, each by the model that was asked. */
  costNanoOf(tries: readonly ConsumedTry[]): number {
    let sum = 0;
    for (const each of tries) sum += this.costNano(each.model, each);
    return sum;
  }
}

function tokenPriceOf({ prompt = 0, cached_prompt = prompt, completion = 0 }: ModelPrice): TokenPrice {
  return {
    prompt: Math.round(prompt * PICO_PER_TOKEN),
    cachedPrompt: Math.round(cached_prompt * PICO_PER_TOKEN),
    completion: Math.round(completion * PICO_PER_TOKEN),
  };
}
