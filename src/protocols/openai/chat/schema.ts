/** The body that /v1/chat/completions takes: validation, types and OpenAPI all come from here. */
import { type Static, Type } from 'typebox';
import { constraintFields, responseFormat } from '../constraint-fields.ts';
import {
  deliveryFields,
  ignored,
  limitFields,
  model,
  refused,
  samplingFields,
} from '../generation-fields.ts';
import { EFFORTS } from '../reasoning-effort.ts';
import { message } from './message-schema.ts';
import { toolChoice, toolList } from './tool-schema.ts';

export const ChatBody = Type.Object({
  model,
  messages: Type.Array(message, {
    minItems: 1,
    description:
      'Every call of an assistant’s message is answered by the messages with role tool right after it.',
  }),
  max_completion_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Default: what the context leaves; more than that is lowered to it.',
    }),
  ),
  max_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'The older name of max_completion_tokens, which goes before it.',
    }),
  ),
  ...samplingFields,
  ...limitFields,
  ...deliveryFields,
  logprobs: Type.Optional(Type.Boolean()),
  top_logprobs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 20, description: 'Only with logprobs set to true.' }),
  ),
  response_format: Type.Optional(responseFormat),
  ...constraintFields,
  continue_final_message: Type.Optional(
    Type.Boolean({
      description:
        'true: the answer continues the last message, the assistant’s, and is what comes after it. Not with add_generation_prompt: true.',
    }),
  ),
  add_generation_prompt: Type.Optional(
    Type.Boolean({
      description:
        'false without continue_final_message: no turn is begun for the model; for backends that take it.',
    }),
  ),
  tools: Type.Optional(toolList),
  tool_choice: Type.Optional(toolChoice),
  parallel_tool_calls: Type.Optional(
    Type.Boolean({
      description: 'false: an answer has one call at most. Default: as many as the model wants.',
    }),
  ),
  reasoning_effort: Type.Optional(
    Type.Enum([...EFFORTS], {
      description:
        'For models that can think. none switches it off; minimal is low, xhigh and max are high. Default: the model’s own.',
    }),
  ),
  modalities: Type.Optional(
    Type.Array(Type.String(), { description: 'Only ["text"]: audio is not supported.' }),
  ),
  audio: refused(Type.Unknown({ description: 'Refused: audio is not supported.' })),
  functions: refused(Type.Unknown({ description: 'Refused: tools has taken its place.' })),
  function_call: refused(Type.Unknown({ description: 'Refused: tool_choice has taken its place.' })),
  web_search_options: refused(Type.Unknown({ description: 'Refused: nothing is searched here.' })),
  metadata: ignored(),
  moderation: ignored(),
  prediction: ignored('Accepted; it is about speed alone.'),
  prompt_cache_key: ignored('Accepted; prefixes are found by themselves.'),
  prompt_cache_retention: ignored('Accepted; prefixes are found by themselves.'),
  safety_identifier: ignored(),
  service_tier: ignored(),
  store: ignored('Accepted; nothing is stored.'),
  user: ignored(),
  verbosity: ignored(),
});

export type ChatBody = Static<typeof ChatBody>;
