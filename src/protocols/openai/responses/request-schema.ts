/** The body of POST /v1/responses. Fields that are null count as absent; those that nobody knows are no error. */
import { type Static, Type } from 'typebox';
import { constraintFields } from '../constraint-fields.ts';
import { model } from '../generation-fields.ts';
import { EFFORTS } from '../reasoning-effort.ts';
import { InputItem } from './item-schema.ts';
import {
  AllowedTools,
  ChoiceWord,
  CustomTool,
  FunctionTool,
  HostedTool,
  JsonObjectFormat,
  JsonSchemaFormat,
  NamedChoice,
  NamespaceTool,
  TextFormat,
} from './tool-schema.ts';

const stopString = Type.String({ minLength: 1 });
const text = Type.String({ minLength: 1 });
const anyObject = Type.Object({}, { additionalProperties: true });
const ignored = { description: 'Ignored.' } as const;

const sampling = {
  temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
  top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
  seed: Type.Optional(Type.Integer({ description: 'Any whole number; folded into 0 to 2147483647.' })),
  top_k: Type.Optional(Type.Integer({ minimum: -1, description: '0 and -1 switch it off.' })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  repetition_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 2 })),
};

export const ReasoningSettings = Type.Object({
  effort: Type.Optional(Type.Enum([...EFFORTS])),
  summary: Type.Optional(
    Type.String({
      description:
        'auto, concise, detailed: what the model thinks is told as the summary of the reasoning item, unabridged, with its events. ' +
        'Without it, or none: as the content of the item.',
    }),
  ),
});

export const ResponsesBody = Type.Object({
  model,
  input: Type.Union([text, Type.Array(InputItem, { minItems: 1 })], {
    description:
      'One user message, or the whole conversation: nothing of it is kept here between two requests.',
  }),
  instructions: Type.Optional(Type.String({ description: 'A system message in front of the input.' })),
  max_output_tokens: Type.Optional(
    Type.Integer({ minimum: 1, description: 'At most what the context leaves, which is the default too.' }),
  ),
  ...sampling,
  top_logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
  include: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'message.output_text.logprobs: the log-probability of each token. Other values are ignored.',
    }),
  ),
  stop: Type.Optional(Type.Union([stopString, Type.Array(stopString, { maxItems: 4 })])),
  min_tokens: Type.Optional(Type.Integer({ minimum: 0 })),
  ignore_eos: Type.Optional(Type.Boolean()),
  ...constraintFields,
  tools: Type.Optional(
    Type.Array(Type.Union([FunctionTool, CustomTool, NamespaceTool, HostedTool]), { maxItems: 128 }),
  ),
  tool_choice: Type.Optional(Type.Union([ChoiceWord, NamedChoice, AllowedTools])),
  parallel_tool_calls: Type.Optional(Type.Boolean({ description: 'false: one call at most.' })),
  text: Type.Optional(
    Type.Object({
      format: Type.Optional(Type.Union([TextFormat, JsonObjectFormat, JsonSchemaFormat])),
      verbosity: Type.Optional(Type.String(ignored)),
    }),
  ),
  reasoning: Type.Optional(ReasoningSettings),
  stream: Type.Optional(Type.Boolean()),
  stream_options: Type.Optional(Type.Object({}, { additionalProperties: true, ...ignored })),
  store: Type.Optional(
    Type.Boolean({ description: 'Accepted; responses are never kept, as the answer says.' }),
  ),
  truncation: Type.Optional(
    Type.Enum(['disabled', 'auto'], { description: 'auto is refused: nothing is cut.' }),
  ),
  background: Type.Optional(Type.Boolean({ description: 'true is refused.' })),
  metadata: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'Comes back with the answer.' }),
  ),
  user: Type.Optional(Type.String({ description: 'Comes back with the answer.' })),
  safety_identifier: Type.Optional(Type.String({ description: 'Comes back with the answer.' })),
  prompt_cache_key: Type.Optional(
    Type.String({ description: 'Comes back with the answer; caching needs no key.' }),
  ),
  prompt_cache_retention: Type.Optional(Type.String(ignored)),
  prompt_cache_options: Type.Optional(Type.Object({}, { additionalProperties: true, ...ignored })),
  service_tier: Type.Optional(Type.String({ description: 'Ignored: there is one, "default".' })),
  max_tool_calls: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Ignored: it counts calls of hosted tools, and there are none.',
    }),
  ),
});

/** Items, tools and the like are read by their type, one by one: what is wrong with one names that one. */
export const ResponsesFields = Type.Object({
  ...ResponsesBody.properties,
  input: Type.Union([text, Type.Array(anyObject, { minItems: 1 })]),
  tools: Type.Optional(Type.Array(anyObject, { maxItems: 128 })),
  tool_choice: Type.Optional(Type.Union([ChoiceWord, anyObject])),
  text: Type.Optional(anyObject),
  reasoning: Type.Optional(anyObject),
});

export const TextSettings = Type.Object({
  format: Type.Optional(anyObject),
  verbosity: Type.Optional(Type.String()),
});

export type ResponsesFields = Static<typeof ResponsesFields>;
export type TextSettings = Static<typeof TextSettings>;
export type ReasoningSettings = Static<typeof ReasoningSettings>;
