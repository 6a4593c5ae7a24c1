/** What the bodies of /api/chat and /api/generate have in common: `options`, and how the answer is to be. */

import { type Static, Type } from 'typebox';

const MAX_INTEGER = 2_147_483_647;

const stopString = Type.String({ minLength: 1 });

export const options = Type.Object(
  {
    temperature: Type.Optional(Type.Number({ minimum: 0 })),
    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    top_k: Type.Optional(
      Type.Integer({ minimum: -1, maximum: MAX_INTEGER, description: '0 and -1 switch it off.' }),
    ),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    seed: Type.Optional(
      Type.Integer({ minimum: -1, maximum: MAX_INTEGER, description: '-1: another one each time.' }),
    ),
    repeat_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    num_predict: Type.Optional(
      Type.Integer({
        minimum: -2,
        maximum: MAX_INTEGER,
        description: 'Tokens of the answer at most. Default, and for 0, -1 and -2: what the context leaves.',
      }),
    ),
    stop: Type.Optional(
      Type.Union([stopString, Type.Array(stopString, { maxItems: 64 })], {
        description: 'Generation ends before any of these; never part of the answer.',
      }),
    ),
    num_ctx: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Changes nothing, and X-Dropped-Parameters says so: the context has the size that the configuration gives it, and a prompt that does not fit is refused.',
      }),
    ),
  },
  {
    additionalProperties: true,
    description:
      'Options that concern the runner (num_gpu, num_thread, use_mmap …) are the configuration’s business and ignored. ' +
      'repeat_last_n, mirostat, tfs_z, typical_p and penalize_newline are refused unless they have their default.',
  },
);

export type Options = Static<typeof options>;

export const keepAlive = Type.Optional(
  Type.Union([Type.Number(), Type.String()], {
    description:
      'Changes nothing, and X-Dropped-Parameters says so: how long models stay in memory is for the configuration to say, as others use them too. ' +
      'A request that asks nothing of the model is answered with done_reason "unload" where it is 0.',
  }),
);

/** The fields of both routes that generate. */
export const generationFields = {
  model: Type.Optional(
    Type.String({
      description: 'A configured model or an alias; "name:latest" is "name". Default: default_model.',
    }),
  ),
  stream: Type.Optional(Type.Boolean({ description: 'Default: true, an answer in lines of JSON.' })),
  format: Type.Optional(
    Type.Union(
      [
        Type.Enum(['', 'json']),
        Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' }),
      ],
      {
        description: '"json": the text is a JSON object. A JSON Schema: the text is JSON that it allows.',
      },
    ),
  ),
  options: Type.Optional(options),
  think: Type.Optional(
    Type.Union([Type.Boolean(), Type.Enum(['low', 'medium', 'high'])], {
      description: 'Default: as the model does when nothing is said.',
    }),
  ),
  logprobs: Type.Optional(
    Type.Boolean({ description: 'The log-probability of each token of the text comes with it.' }),
  ),
  top_logprobs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 20,
      description: 'With logprobs: so many of the likeliest tokens at each place. Default: 0.',
    }),
  ),
  keep_alive: keepAlive,
};
