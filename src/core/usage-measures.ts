/** What usage is counted in. Rows of the store, sums of reports, and the metrics of teams have these. */
import type { Milliseconds } from './clock.ts';

export interface UsageMeasures {
  /** All of them, those that failed or were refused included. */
  readonly requests: number;
  /** Failed, but not refused by a limit. A client that left is none. */
  readonly errors: number;
  /** Refused by a limit, a budget, or a full queue. */
  readonly rejections: number;
  /** Tokens, money and slots: of all tries, each where it was. */
  readonly promptTokens: number;
  /** The part of `promptTokens` that was cached. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** In billionths of the currency's unit. */
  readonly costNano: number;
  /** Time that slots were held. */
  readonly slotMs: Milliseconds;
}

export const NOTHING_USED: UsageMeasures = {
  requests: 0,
  errors: 0,
  rejections: 0,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  costNano: 0,
  slotMs: 0,
};

/** Money is counted in whole billionths of the currency's unit. */
export const NANO_PER_UNIT = 1_000_000_000;
