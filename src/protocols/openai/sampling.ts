/** The shared fields become the core's sampling and limits, the same for every choice but for its seed. */
import type { GenerationRequest, Limits, RequestId, Sampling } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { samplingReader } from '../sampling-fields.ts';
import type { ConstraintBody } from './constraint-fields.ts';
import type { SharedBody } from './generation-fields.ts';
import { notTaken } from './not-taken.ts';

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
} as const satisfies Partial<Record<keyof SharedBody, keyof Sampling>>;

const readSampling = samplingReader(SAMPLING_FIELDS);

type SamplingBody = Pick<SharedBody, keyof typeof SAMPLING_FIELDS | 'logit_bias'> &
  Pick<ConstraintBody, 'bad_words'>;

/** The core's seeds have 31 bits. */
const SEEDS = 2 ** 31;
/** OpenAI takes a top_p of 0, which leaves the likeliest token alone; samplers want one above it. */
const LEAST_TOP_P = 1e-6;

export function parseSampling(body: SamplingBody): Sampling {
  const sampling = readSampling(body);
  if (sampling.topP === 0) sampling.topP = LEAST_TOP_P;
  if (sampling.topK === -1) sampling.topK = 0;
  if (sampling.seed !== undefined) sampling.seed = foldSeed(sampling.seed);
  return sampling;
}

type LimitBody = Pick<SharedBody, 'stop' | 'min_tokens' | 'ignore_eos'> &
  Pick<ConstraintBody, 'stop_token_ids'>;

export function parseLimits(
  { stop = [], stop_token_ids = [], min_tokens = 0, ignore_eos = false }: LimitBody,
  most: Pick<Limits, 'maxTokens' | 'maxTokensIsDefault'>,
): Limits {
  return {
    stop: typeof stop === 'string' ? [stop] : stop,
    ...most,
    ...(stop_token_ids.length > 0 && { stopTokens: stop_token_ids }),
    ...(min_tokens > 0 && { minTokens: min_tokens }),
    ...(ignore_eos && { ignoreEos: true }),
  };
}

/** What vLLM takes and no answer here has a place for; values that ask for nothing are let through. */
export function refuseUnanswerable({ prompt_logprobs, use_beam_search }: ConstraintBody): void {
  if (prompt_logprobs !== undefined && prompt_logprobs !== false)
    throw notTaken(
      'prompt_logprobs',
      'is not supported: prompts have no log-probabilities here',
      'Leave it away.',
    );
  if (use_beam_search)
    throw notTaken('use_beam_search', 'is not supported: answers are sampled', 'Leave it away.');
}

/** More than the context holds is no error here: it is lowered to that. */
export function atMost(tokens: number, contextSize: number | undefined): number {
  return contextSize === undefined ? tokens : Math.min(tokens, contextSize);
}

/** One request for each of the `n` answers. */
export function fanOut(
  request: Omit<GenerationRequest, 'id'>,
  n: number,
  newRequestId: () => RequestId,
): readonly GenerationRequest[] {
  const { seed } = request.sampling;
  if (n === 1) return [{ id: newRequestId(), ...request }];
  return Array.from({ length: n }, (_, choice) => ({
    ...request,
    id: newRequestId(),
    ...(seed !== undefined && { sampling: { ...request.sampling, seed: foldSeed(seed + choice) } }),
  }));
}

/** `usage` is told in a stream. Throws where the two fields contradict each other. */
export function parseDelivery({ stream = false, stream_options }: SharedBody): {
  readonly delivery: 'whole' | 'stream';
  readonly includeUsage: boolean;
} {
  if (stream_options !== undefined && !stream)
    throw invalid('stream_options', 'stream_options is only allowed with stream set to true.');
  return {
    delivery: stream ? 'stream' : 'whole',
    includeUsage: stream_options?.include_usage === true,
  };
}

/** OpenAI's seeds have 64 bits and a sign; small ones stay as they are. */
function foldSeed(seed: number): number {
  return ((seed % SEEDS) + SEEDS) % SEEDS;
}
