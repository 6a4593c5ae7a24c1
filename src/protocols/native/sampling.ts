/** The sampling fields of a native body become the core's. */
import type { LogprobsWish, Sampling } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { samplingReader } from '../sampling-fields.ts';
import type { GenerateBody } from './schema.ts';

/** Native field → the sampling field it sets, as it is. */
const SAMPLING_FIELDS = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repeat_penalty: 'repeatPenalty',
} as const satisfies Partial<Record<keyof GenerateBody, keyof Sampling>>;

export const parseSampling: (body: GenerateBody) => Sampling = samplingReader(SAMPLING_FIELDS);

export function parseLogprobs({ logprobs, top_logprobs }: GenerateBody): LogprobsWish | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  if (top_logprobs !== undefined)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}
