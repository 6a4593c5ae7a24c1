/** The sampling fields of a response become the core's. */
import type { LogprobsWish, Sampling } from '../../../core/generation.ts';
import type { ResponsesFields } from './request-schema.ts';

/** Field → the sampling field it sets, as it is. */
const SAMPLING_FIELDS = {
  temperature: 'temperature',
  top_p: 'topP',
  min_p: 'minP',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repetition_penalty: 'repeatPenalty',
} as const satisfies Partial<Record<keyof ResponsesFields, keyof Sampling>>;

const LOGPROBS = 'message.output_text.logprobs';

export function parseSampling(body: ResponsesFields): Sampling {
  const given = Object.entries(SAMPLING_FIELDS)
    .map(([field, name]) => [name, body[field as keyof typeof SAMPLING_FIELDS]] as const)
    .filter(([, value]) => value !== undefined);
  const { top_k } = body;
  return { ...Object.fromEntries(given), ...(top_k !== undefined && { topK: Math.max(0, top_k) }) };
}

/** Whoever names a number of likeliest tokens wants to see them. */
export function parseLogprobs({ include = [], top_logprobs = 0 }: ResponsesFields): LogprobsWish | undefined {
  return include.includes(LOGPROBS) || top_logprobs > 0 ? { top: top_logprobs } : undefined;
}
