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

const SAMPLING_ENTRIES = Object.entries(SAMPLING_FIELDS) as [
  keyof typeof SAMPLING_FIELDS,
  (typeof SAMPLING_FIELDS)[keyof typeof SAMPLING_FIELDS],
][];

export function parseSampling(body: GenerateBody): Sampling {
  const sampling: { -readonly [Name in keyof Sampling]: Sampling[Name] } = {};
  for (const [field, name] of SAMPLING_ENTRIES) {
    const value = body[field];
    if (value !== undefined) sampling[name] = value;
  }
  const logitBias = body.logit_bias === undefined ? [] : parseLogitBias(body.logit_bias);
  if (logitBias.length > 0) sampling.logitBias = logitBias;
  if (body.bad_words !== undefined && body.bad_words.length > 0) sampling.badWords = body.bad_words;
  return sampling;
}

export function parseLogprobs({ logprobs, top_logprobs }: GenerateBody): LogprobsWish | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  if (top_logprobs !== undefined)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}
