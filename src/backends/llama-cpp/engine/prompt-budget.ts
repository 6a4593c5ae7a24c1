/**
 * How many prompt tokens a decode step may take. Alone, as many as the batch holds. Beside answers, so many that the
 * step stays within GAP_FACTOR times a step of answers only: their readers see a steady stream, and the prompt is read
 * as fast as that allows. Pure: durations come in. Owns two moving averages.
 */
import type { Milliseconds } from '../../../core/clock.ts';

/** Beyond this size nothing is gained, only aborts are later. */
export const PROMPT_TOKENS_ALONE = 64;
const FEWEST_BESIDE_ANSWERS = 8;
const MOST_BESIDE_ANSWERS = PROMPT_TOKENS_ALONE;
const FIRST_BESIDE_ANSWERS = 16;
/** Streams may halt for four times their median gap; this leaves room for what a machine varies. */
const GAP_FACTOR = 3;
const WEIGHT_OF_NEWEST = 0.2;

export class PromptBudget {
  #answerStepMs: Milliseconds | undefined;
  #promptTokenMs: Milliseconds | undefined;

  get besideAnswers(): number {
    if (this.#answerStepMs === undefined || this.#promptTokenMs === undefined) return FIRST_BESIDE_ANSWERS;
    const tokens = Math.floor(((GAP_FACTOR - 1) * this.#answerStepMs) / this.#promptTokenMs);
    return Math.max(FEWEST_BESIDE_ANSWERS, Math.min(MOST_BESIDE_ANSWERS, tokens));
  }

  /** A step is over that evaluated `promptTokens` of prompts beside `answers` tokens of answers. */
  record(step: {
    readonly promptTokens: number;
    readonly answers: number;
    readonly durationMs: Milliseconds;
  }): void {
    const { promptTokens, answers, durationMs } = step;
    if (promptTokens === 0) {
      this.#answerStepMs = average(this.#answerStepMs, durationMs);
      return;
    }
    const ofAnswers = answers > 0 ? (this.#answerStepMs ?? 0) : 0;
    this.#promptTokenMs = average(this.#promptTokenMs, Math.max(0, durationMs - ofAnswers) / promptTokens);
  }
}

function average(before: number | undefined, newest: number): number {
  return before === undefined ? newest : before + WEIGHT_OF_NEWEST * (newest - before);
}
