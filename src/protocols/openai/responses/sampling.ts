/** The sampling fields of a response become the core's. */
import type { LogprobsWish, Sampling } from '../../../core/generation.ts';
import type { ResponsesFields } from './request-schema.ts';

/** Field → the sampling field it sets, as it is. */
const SAMPLING_FIELDS = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repetition_penalty: 'repeatPenalty',
} as const satisfies Partial<Record<keyof ResponsesFields, keyof Sampling>>;

/** The core's seeds have 31 bits, those of OpenAI 64 and a sign; small ones stay as they are. */
const SEEDS = 2 ** 31;
/** OpenAI takes a top_p of 0, which leaves the likeliest token alone; samplers want one above it. */
const LEAST_TOP_P = 1e-6;

const LOGPROBS = 'message.output_text.logprobs';

export function parseSampling(body: ResponsesFields): Sampling {
  const given = {
    ...body,
    ...(body.top_p === 0 && { top_p: LEAST_TOP_P }),
    ...(body.top_k === -1 && { top_k: 0 }),
    ...(body.seed !== undefined && { seed: ((body.seed % SEEDS) + SEEDS) % SEEDS }),
  };
  const fields = Object.entries(SAMPLING_FIELDS)
    .map(([field, name]) => [name, given[field as keyof typeof SAMPLING_FIELDS]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(fields);
}

/** Whoever names a number of likeliest tokens wants to see them. */
export function parseLogprobs({ include = [], top_logprobs = 0 }: ResponsesFields): LogprobsWish | undefined {
  return include.includes(LOGPROBS) || top_logprobs > 0 ? { top: top_logprobs } : undefined;
}
