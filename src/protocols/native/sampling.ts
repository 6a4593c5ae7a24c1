/** The sampling fields of a native body become the core's. */
import type { LogprobsWish, Sampling } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { parseLogitBias } from '../logit-bias.ts';
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

export function parseSampling(body: GenerateBody): Sampling {
  const given = Object.entries(SAMPLING_FIELDS)
    .map(([field, name]) => [name, body[field as keyof typeof SAMPLING_FIELDS]] as const)
    .filter(([, value]) => value !== undefined);
  const logitBias = parseLogitBias(body.logit_bias ?? {});
  const badWords = body.bad_words ?? [];
  return {
    ...Object.fromEntries(given),
    ...(logitBias.length > 0 && { logitBias }),
    ...(badWords.length > 0 && { badWords }),
  };
}

export function parseLogprobs({ logprobs, top_logprobs }: GenerateBody): LogprobsWish | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  if (top_logprobs !== undefined)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}
