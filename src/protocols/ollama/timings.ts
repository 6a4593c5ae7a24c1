/** When an answer was made and how long that took, as Ollama tells it: RFC 3339, and whole nanoseconds. */
import { Type } from 'typebox';
import type { Milliseconds } from '../../core/clock.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerContext } from '../generation-route.ts';

const NANOSECONDS = 1_000_000;

const nanoseconds = (description: string) => Type.Integer({ minimum: 0, description });

export const metrics = {
  total_duration: nanoseconds('From the arrival of the request to the end of the answer; nanoseconds.'),
  prompt_eval_count: Type.Integer({ minimum: 0, description: 'Tokens of the prompt.' }),
  prompt_eval_duration: nanoseconds('To the first token, without the wait in the queue.'),
  eval_count: Type.Integer({ minimum: 0, description: 'Tokens of the answer.' }),
  eval_duration: nanoseconds('From the first token to the end.'),
};

export function timeOf(sinceEpoch: Milliseconds): string {
  return new Date(sinceEpoch).toISOString();
}

export function nanosecondsOf(milliseconds: Milliseconds): number {
  return Math.round(Math.max(0, milliseconds) * NANOSECONDS);
}

/**
 * `load_duration` is left away: no request loads a model here. The wait in the queue is in `total_duration` alone, so that
 * tokens per second, which clients compute from the others, are those of the model.
 */
export function metricsOf({ promptTokens, completionTokens }: Usage, { receipt, timings }: AnswerContext) {
  const { queueMs, ttftMs, totalMs } = timings();
  // Nobody knows when a whole answer had its first token: its time counts as the answer's, which is slower than the truth.
  const firstMs = receipt.askedWhole ? queueMs : ttftMs;
  return {
    total_duration: nanosecondsOf(totalMs),
    prompt_eval_count: promptTokens,
    prompt_eval_duration: nanosecondsOf(firstMs - queueMs),
    eval_count: completionTokens,
    eval_duration: nanosecondsOf(totalMs - firstMs),
  };
}
