/**
 * The request fields that chats, text completions and responses share, OpenAI's and those of vLLM: their schemas, and how they
 * become the core's sampling and limits. What constrains the text of an answer is in structured-output.ts.
 */
import { type Static, Type } from 'typebox';
import type {
  GenerationRequest,
  Limits,
  ReasoningEffort,
  RequestId,
  Sampling,
} from '../../core/generation.ts';
import { invalid } from '../field-errors.ts';
import { foldSeed, samplingReader, tokenFields, withinCore } from '../sampling-fields.ts';
import { unsupported } from './errors.ts';

/** Each choice is a request of its own. */
export const MAX_CHOICES = 128;

/** Accepted, and without effect. */
export function ignored(description = 'Accepted and ignored.') {
  return Type.Optional(Type.Unknown({ description }));
}

/** Name the client's end user or its cache: without effect here, and for OpenAI-compatible servers that are to get them. */
export const END_USER_FIELDS = ['user', 'safety_identifier', 'prompt_cache_key'] as const;

export const GOES_ALONG = 'Goes along to OpenAI-compatible servers; otherwise without effect.';
export const GOES_ALONG_IF_ASKED =
  'Goes along to OpenAI-compatible servers whose `pass_fields` name it; otherwise without effect.';

/** Known, and rejected by name: an answer without it would be to another question. */
export function rejected(description: string) {
  return Type.Optional(Type.Unknown({ description: `Rejected: ${description}`, deprecated: true }));
}

export const model = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'A configured model, or an alias of one. Default: default_model.',
  }),
);

export const samplingFields = {
  temperature: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 2,
      description: 'Default: the model’s own, as for all sampling fields.',
    }),
  ),
  top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_k: Type.Optional(Type.Integer({ minimum: -1, description: '-1 and 0 switch it off.' })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  seed: Type.Optional(
    Type.Integer({
      description:
        'Any whole number; folded into 0 to 2147483647. Of several choices, choice i has the seed plus i, so that they differ.',
    }),
  ),
  presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  repetition_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 2 })),
};

export const logitBias = {
  logit_bias: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }), {
      maxProperties: 1024,
      description:
        'Token id of the model → what is added to its logit: -100 rules it out, 100 all but forces it.',
    }),
  ),
};

const stopString = Type.String({ minLength: 1 });

/** OpenAI's own service takes 4, other servers of its API more, and clients that complete code send more. */
const MAX_STOPS = 64;

export const limitFields = {
  stop: Type.Optional(
    Type.Union([stopString, Type.Array(stopString, { maxItems: MAX_STOPS })], {
      description: 'Generation ends before any of these; never part of the answer.',
    }),
  ),
  min_tokens: Type.Optional(
    Type.Integer({ minimum: 0, description: 'The turn does not end before so many tokens.' }),
  ),
  ignore_eos: Type.Optional(
    Type.Boolean({ description: 'The turn never ends by itself: a stop string or the length ends it.' }),
  ),
};

/** Fields of vLLM that no answer here has a place for; values that ask for nothing are accepted. */
const unanswerableFields = {
  prompt_logprobs: rejected('prompts have no log-probabilities here.'),
  use_beam_search: Type.Optional(Type.Boolean({ description: 'true is rejected: answers are sampled.' })),
};

export const vllmFields = { ...tokenFields, ...unanswerableFields };

export const deliveryFields = {
  n: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_CHOICES,
      description: 'Answers to the same prompt, default 1. Each waits and runs as a request of its own.',
    }),
  ),
  stream: Type.Optional(Type.Boolean()),
  stream_options: Type.Optional(
    Type.Object(
      {
        include_usage: Type.Optional(
          Type.Boolean({ description: 'A last chunk without choices has the usage.' }),
        ),
        include_obfuscation: ignored('Accepted; chunks are never padded.'),
        continuous_usage_stats: ignored('Accepted; usage comes once, at the end.'),
      },
      { description: 'Only with stream.' },
    ),
  ),
};

const SharedFields = Type.Object({
  ...samplingFields,
  ...logitBias,
  ...limitFields,
  ...vllmFields,
  ...deliveryFields,
});

type SharedFields = Static<typeof SharedFields>;

/** reasoning_effort → the core's: nothing is less than low, nothing more than high. */
export const EFFORTS = {
  none: false,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
} as const satisfies Readonly<Record<string, ReasoningEffort>>;

export const EFFORT_NAMES = Object.keys(EFFORTS) as (keyof typeof EFFORTS)[];

/** Field → the sampling field that it sets, as it is. */
const SAMPLING_FIELDS = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repetition_penalty: 'repeatPenalty',
} as const satisfies Partial<Record<keyof SharedFields, keyof Sampling>>;

const readSampling = samplingReader(SAMPLING_FIELDS);

type SamplingFields = Pick<SharedFields, keyof typeof SAMPLING_FIELDS | 'logit_bias' | 'bad_words'>;

export function parseSampling(body: SamplingFields): Sampling {
  const sampling = readSampling(body);
  if (sampling.topK === -1) sampling.topK = 0;
  return withinCore(sampling);
}

type LimitFields = Pick<SharedFields, keyof typeof limitFields | 'stop_token_ids'>;

interface LengthLimit {
  /** What the client asks for: more than the context holds is lowered to it, and no error. */
  readonly maxTokens: number | undefined;
  readonly maxTokensIsDefault?: boolean;
  readonly contextSize: number | undefined;
}

export function parseLimits(
  { stop = [], stop_token_ids = [], min_tokens = 0, ignore_eos = false }: LimitFields,
  { maxTokens, maxTokensIsDefault, contextSize }: LengthLimit,
): Limits {
  return {
    stop: typeof stop === 'string' ? [stop] : stop,
    ...(maxTokens !== undefined && { maxTokens: Math.min(maxTokens, contextSize ?? maxTokens) }),
    ...(maxTokensIsDefault && { maxTokensIsDefault }),
    ...(stop_token_ids.length > 0 && { stopTokens: stop_token_ids }),
    ...(min_tokens > 0 && { minTokens: min_tokens }),
    ...(ignore_eos && { ignoreEos: true }),
  };
}

export function rejectUnanswerable({
  prompt_logprobs,
  use_beam_search,
}: Pick<SharedFields, keyof typeof unanswerableFields>): void {
  if (prompt_logprobs !== undefined && prompt_logprobs !== false)
    throw unsupported(
      'prompt_logprobs',
      'is not supported: prompts have no log-probabilities here. Remove it.',
    );
  if (use_beam_search)
    throw unsupported('use_beam_search', 'is not supported: answers are sampled. Remove it.');
}

/** Throws where the two fields contradict each other. */
export function parseDelivery({
  stream = false,
  stream_options,
}: Pick<SharedFields, 'stream' | 'stream_options'>): {
  readonly delivery: 'whole' | 'stream';
  /** The stream has a chunk with the usage. */
  readonly includeUsage: boolean;
} {
  if (stream_options !== undefined && !stream)
    throw invalid('stream_options', 'stream_options is only allowed with stream set to true.');
  return { delivery: stream ? 'stream' : 'whole', includeUsage: stream_options?.include_usage === true };
}

/** One request for each of the `n` choices, the same but for its seed. */
export function requestPerChoice(
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
