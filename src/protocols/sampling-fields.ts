/** Sampling fields that the native API and /v1 share: the schema of those about tokens, and the reader of all of them. */
import { Type } from 'typebox';
import type { Sampling, TokenBias } from '../core/generation.ts';
import { showValue } from '../schema/violation.ts';
import { invalid } from './field-errors.ts';

// Each of these costs time with every token.
const MAX_STOP_TOKENS = 256;
const MAX_BAD_WORDS = 256;

/** Blanks before a word are ignored, so a word of blanks would forbid nothing. */
const badWord = Type.String({
  pattern: '\\S',
  maxLength: 256,
  title: 'a string of 1 to 256 characters that are not all blanks',
});

/** They name tokens of the model's own vocabulary. */
export const tokenFields = {
  stop_token_ids: Type.Optional(
    Type.Array(Type.Integer({ minimum: 0 }), {
      maxItems: MAX_STOP_TOKENS,
      description: 'Generation ends with any of these tokens, which are no part of the answer.',
    }),
  ),
  bad_words: Type.Optional(
    Type.Array(badWord, {
      maxItems: MAX_BAD_WORDS,
      description: 'Their tokens never follow one another in the answer.',
    }),
  ),
};

/** Protocols add fields of their own. */
type MutableSampling = { -readonly [Name in keyof Sampling]: Sampling[Name] };

type NumberName = Exclude<keyof Sampling, 'logitBias' | 'badWords' | 'mirostat'>;

/** `fields`: field of the body → sampling field with the same value. */
export function samplingReader<Field extends string>(fields: Readonly<Record<Field, NumberName>>) {
  const entries = Object.entries(fields) as [Field, NumberName][];
  return (
    body: { readonly [Name in Field]?: number } & {
      readonly logit_bias?: Readonly<Record<string, number>>;
      readonly bad_words?: readonly string[];
    },
  ): MutableSampling => {
    const sampling: MutableSampling = {};
    const numbers: { readonly [Name in Field]?: number } = body;
    for (const [field, name] of entries) {
      const value = numbers[field];
      if (value !== undefined) sampling[name] = value;
    }
    const logitBias = body.logit_bias === undefined ? [] : parseLogitBias(body.logit_bias);
    if (logitBias.length > 0) sampling.logitBias = logitBias;
    if (body.bad_words !== undefined && body.bad_words.length > 0) sampling.badWords = body.bad_words;
    return sampling;
  };
}

/** The APIs of others take a top_p of 0, which leaves the likeliest token alone; samplers want one above it. */
const MIN_TOP_P = 1e-6;

/** What other APIs take, as the core has it. */
export function withinCore(sampling: MutableSampling): MutableSampling {
  if (sampling.topP === 0) sampling.topP = MIN_TOP_P;
  if (sampling.seed !== undefined) sampling.seed = foldSeed(sampling.seed);
  return sampling;
}

/** The core's seeds have 31 bits. */
const SEED_RANGE = 2 ** 31;

/** Those of other APIs have 64 bits and a sign; small ones stay as they are. */
export function foldSeed(seed: number): number {
  return ((seed % SEED_RANGE) + SEED_RANGE) % SEED_RANGE;
}

/** One way to write each token id, so that none can be given twice. */
const TOKEN_ID = /^(0|[1-9][0-9]{0,9})$/;

/** Sorted by token, so that equal requests look alike. */
function parseLogitBias(biases: Readonly<Record<string, number>>): readonly TokenBias[] {
  return Object.entries(biases)
    .map(([key, bias]) => ({ token: parseToken(key), bias }))
    .sort((one, other) => one.token - other.token);
}

function parseToken(key: string): number {
  if (TOKEN_ID.test(key)) return Number(key);
  throw invalid(
    'logit_bias',
    `logit_bias has the key ${showValue(key)}, but its keys must be token ids: whole numbers such as "42".`,
  );
}
