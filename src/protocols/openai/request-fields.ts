/** The fields that chat and text completions share, with those that vLLM and its like have beyond OpenAI's. */

import { type Static, type TSchema, Type } from 'typebox';
import type {
  GenerationRequest,
  Limits,
  ReasoningEffort,
  RequestId,
  Sampling,
} from '../../core/generation.ts';
import { invalid } from '../field-errors.ts';
import { samplingReader, tokenFields } from '../sampling-fields.ts';
import { unsupported } from './errors.ts';

/** Each answer is a request of its own. */
export const MAX_CHOICES = 128;

const stopString = Type.String({ minLength: 1 });

/** Known, and without a meaning here. */
export function ignored(why = 'Accepted; it changes nothing here.') {
  return Type.Optional(Type.Unknown({ description: why }));
}

/** Known, and refused by name: an answer without it would be to another question. */
export function refused<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(schema);
}

export const model = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'A configured model, or an alias of one. Default: default_model.',
  }),
);

export const samplingFields = {
  temperature: Type.Optional(
    Type.Number({ minimum: 0, maximum: 2, description: 'Default: the model’s own, as of all that follow.' }),
  ),
  top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_k: Type.Optional(Type.Integer({ minimum: -1, description: '-1 and 0 switch it off.' })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  seed: Type.Optional(
    Type.Integer({
      description:
        'Any whole number; folded into 0 to 2147483647. With n, choice i has the seed plus i, so that choices differ.',
    }),
  ),
  presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  repetition_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 2 })),
  logit_bias: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }), {
      maxProperties: 1024,
      description:
        'Token id of the model → what is added to its logit: -100 rules it out, 100 all but forces it.',
    }),
  ),
};

export const limitFields = {
  stop: Type.Optional(
    Type.Union([stopString, Type.Array(stopString, { maxItems: 4 })], {
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
          Type.Boolean({ description: 'A last chunk without choices tells the usage.' }),
        ),
        include_obfuscation: ignored('Accepted; chunks are never padded.'),
        continuous_usage_stats: ignored('Accepted; usage comes once, at the end.'),
      },
      { description: 'Only with stream.' },
    ),
  ),
};

const SharedBody = Type.Object({ ...samplingFields, ...limitFields, ...deliveryFields });

/** A body of either route. */
type SharedBody = Static<typeof SharedBody>;

/** Fields of vLLM and llama-server that bind what an answer may be; chats, text completions and responses share them. */

const jsonSchema = Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' });
/** vLLM takes the text of one too. */
const schemaOrText = Type.Union([jsonSchema, Type.String({ minLength: 1 })]);
const regex = Type.String({
  minLength: 1,
  description: 'The whole text matches this regular expression.',
});
const choices = Type.Array(Type.String(), {
  minItems: 1,
  maxItems: 1000,
  description: 'The text is exactly one of these.',
});
const grammar = Type.String({ minLength: 1, description: 'The text follows this grammar (GBNF).' });

export const responseFormat = Type.Object(
  {
    type: Type.Enum(['text', 'json_object', 'json_schema']),
    json_schema: Type.Optional(
      Type.Object({
        name: Type.String({ minLength: 1 }),
        description: ignored(),
        schema: Type.Optional(jsonSchema),
        strict: ignored('Accepted; the schema is always kept to.'),
      }),
    ),
    schema: Type.Optional(jsonSchema),
  },
  {
    description:
      'json_object: a JSON object; json_schema: JSON that the schema allows. schema: as llama-server has it, with either.',
  },
);

const structuredOutputs = Type.Object(
  {
    json: Type.Optional(schemaOrText),
    regex: Type.Optional(regex),
    choice: Type.Optional(choices),
    grammar: Type.Optional(grammar),
    json_object: Type.Optional(Type.Boolean({ description: 'The text is a JSON object.' })),
  },
  {
    additionalProperties: true,
    description:
      'As vLLM has it: one of json (a JSON Schema), regex, choice, grammar and json_object. Other parts, such as structural_tag ' +
      'and whitespace_pattern, go to backends that take them and are refused by all others.',
  },
);

/** At most one of these, and of `response_format`, is given. */
const outputFields = {
  structured_outputs: Type.Optional(structuredOutputs),
  guided_json: Type.Optional(schemaOrText),
  guided_regex: Type.Optional(regex),
  guided_choice: Type.Optional(choices),
  guided_grammar: Type.Optional(grammar),
  grammar: Type.Optional(grammar),
  json_schema: Type.Optional(jsonSchema),
};

export const extensionFields = {
  ...outputFields,
  ...tokenFields,
  prompt_logprobs: refused(Type.Unknown({ description: 'Refused: prompts have no log-probabilities here.' })),
  use_beam_search: refused(Type.Boolean({ description: 'true is refused: answers are sampled.' })),
};

const ConstraintBody = Type.Object(extensionFields);
export type ConstraintBody = Static<typeof ConstraintBody>;
export type ResponseFormat = Static<typeof responseFormat>;

/** How much a model is to think, as OpenAI says it. There is no less than low and no more than high. */

export const EFFORT_NAMES = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

type EffortName = (typeof EFFORT_NAMES)[number];

export const EFFORT_LEVELS: Readonly<Record<EffortName, ReasoningEffort>> = {
  none: false,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
};

/** The shared fields become the core's sampling and limits, the same for every choice but for its seed. */

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
const SEED_RANGE = 2 ** 31;
/** OpenAI takes a top_p of 0, which leaves the likeliest token alone; samplers want one above it. */
const MIN_TOP_P = 1e-6;

export function parseSampling(body: SamplingBody): Sampling {
  const sampling = readSampling(body);
  if (sampling.topP === 0) sampling.topP = MIN_TOP_P;
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
export function rejectUnsupported({ prompt_logprobs, use_beam_search }: ConstraintBody): void {
  if (prompt_logprobs !== undefined && prompt_logprobs !== false)
    throw unsupported(
      'prompt_logprobs',
      'is not supported: prompts have no log-probabilities here',
      'Leave it away.',
    );
  if (use_beam_search)
    throw unsupported('use_beam_search', 'is not supported: answers are sampled', 'Leave it away.');
}

/** More than the context holds is no error here: it is lowered to that. */
export function clampToContext(tokens: number, contextSize: number | undefined): number {
  return contextSize === undefined ? tokens : Math.min(tokens, contextSize);
}

/** One request for each of the `n` answers. */
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
  return ((seed % SEED_RANGE) + SEED_RANGE) % SEED_RANGE;
}
