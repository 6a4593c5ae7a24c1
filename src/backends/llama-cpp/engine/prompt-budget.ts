/**
 * How many prompt tokens a decode step may take. Alone, as many as the batch holds. Beside answers, so many that the
 * step stays within GAP_FACTOR times what a step will take once all that run are answered: their readers see a steady
 * stream, and prompts are read as fast as that allows. Pure: durations come in. Owns what a step costs, learnt from
 * recent ones.
 */
import type { Milliseconds } from '../../../core/clock.ts';

/** Beyond this size nothing is gained, only aborts are later. */
export const PROMPT_TOKENS_ALONE = 64;
const FEWEST_BESIDE_ANSWERS = 8;
/** Streams may halt for four times their usual gap; this leaves room for what a machine varies. */
const GAP_FACTOR = 2.5;
/** Of what was learnt, so much is left after one more step: the last fifty count. */
const KEPT = 0.98;

export class PromptBudget {
  // A line through steps, their tokens and their durations: the weighted sums that it is made of.
  #weight = 0;
  #tokens = 0;
  #durations = 0;
  #tokensSquared = 0;
  #products = 0;
  #tokenMs: Milliseconds | undefined;

  /** `running`: all generations, those whose prompts are being read included; `answers`: the others. */
  besideAnswers({ running, answers }: { readonly running: number; readonly answers: number }): number {
    const tokenMs = this.#tokenMs;
    if (tokenMs === undefined || tokenMs <= 0) return FEWEST_BESIDE_ANSWERS;
    const meanTokens = this.#tokens / this.#weight;
    const baseMs = Math.max(0, this.#durations / this.#weight - tokenMs * meanTokens);
    const allowedMs = GAP_FACTOR * (baseMs + tokenMs * running);
    const prompts = Math.floor((allowedMs - baseMs) / tokenMs) - answers;
    return Math.max(FEWEST_BESIDE_ANSWERS, Math.min(PROMPT_TOKENS_ALONE, prompts));
  }

  /** A step is over that evaluated so many tokens, of prompts and answers together. */
  record(tokens: number, durationMs: Milliseconds): void {
    this.#weight = KEPT * this.#weight + 1;
    this.#tokens = KEPT * this.#tokens + tokens;
    this.#durations = KEPT * this.#durations + durationMs;
    this.#tokensSquared = KEPT * this.#tokensSquared + tokens * tokens;
    this.#products = KEPT * this.#products + tokens * durationMs;
    const spread = this.#weight * this.#tokensSquared - this.#tokens * this.#tokens;
    // Steps that are all alike do not tell what a token costs: what was known of it stays.
    if (spread < this.#weight * this.#weight) return;
    this.#tokenMs = (this.#weight * this.#products - this.#tokens * this.#durations) / spread;
  }
}
