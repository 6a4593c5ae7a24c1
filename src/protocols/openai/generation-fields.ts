/** The fields that chat and text completions share, with those that vLLM and its like have beyond OpenAI's. */
import { type Static, type TSchema, Type } from 'typebox';

/** Each answer is a request of its own. */
export const MOST_ANSWERS = 128;

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
      maximum: MOST_ANSWERS,
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
export type SharedBody = Static<typeof SharedBody>;
