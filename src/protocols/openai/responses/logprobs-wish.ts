/** Whether a response is to tell log-probabilities. */
import type { LogprobsWish } from '../../../core/generation.ts';
import type { ResponsesFields } from './request-schema.ts';

const LOGPROBS = 'message.output_text.logprobs';

/** Whoever names a number of likeliest tokens wants to see them. */
export function parseLogprobs({ include = [], top_logprobs = 0 }: ResponsesFields): LogprobsWish | undefined {
  return include.includes(LOGPROBS) || top_logprobs > 0 ? { top: top_logprobs } : undefined;
}
