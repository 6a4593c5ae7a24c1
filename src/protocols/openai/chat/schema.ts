/** A message of a chat. What goes with which role, and in which order, is for conversation.ts to say; of parts, content.ts. */

import { type Static, Type } from 'typebox';
import {
  deliveryFields,
  EFFORT_NAMES,
  extensionFields,
  ignored,
  limitFields,
  model,
  refused,
  responseFormat,
  samplingFields,
} from '../request-fields.ts';

const part = Type.Object(
  { type: Type.String() },
  {
    additionalProperties: true,
    title: 'an object with a type',
    description:
      '{"type":"text","text":…} in all messages; {"type":"image_url","image_url":{"url":"data:image/png;base64,…"}} in those ' +
      'of users: pictures come as data: URLs, nothing is fetched; {"type":"refusal","refusal":…} in the assistant’s.',
  },
);

const message = Type.Object({
  role: Type.Enum(['developer', 'system', 'user', 'assistant', 'tool', 'function'], {
    description: 'developer is system. function is refused: tools have taken its place.',
  }),
  content: Type.Optional(Type.Union([Type.String(), Type.Array(part, { minItems: 1 })])),
  name: ignored('Accepted; chat templates have no place for it.'),
  refusal: Type.Optional(Type.String({ description: 'With role assistant: said in place of content.' })),
  reasoning_content: Type.Optional(
    Type.String({
      description: 'With role assistant: what it thought, for models whose templates read that.',
    }),
  ),
  reasoning: Type.Optional(Type.String({ description: 'As reasoning_content.' })),
  tool_calls: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.String({ minLength: 1, description: 'Its own within the message.' }),
        type: Type.Optional(Type.Literal('function')),
        function: Type.Object({
          name: Type.String({ minLength: 1 }),
          arguments: Type.String({ description: 'The text of a JSON object.' }),
        }),
      }),
      {
        maxItems: 128,
        description: 'With role assistant: the calls that it asked for. The messages after it answer them.',
      },
    ),
  ),
  tool_call_id: Type.Optional(
    Type.String({ description: 'With role tool: the id of the call that the content answers.' }),
  ),
  audio: refused(Type.Unknown({ description: 'Refused: audio is not supported.' })),
  function_call: refused(Type.Unknown({ description: 'Refused: tool_calls has taken its place.' })),
});

export type MessageBody = Static<typeof message>;

/** Tools as chats define them, and which of them may be called. */

const functionTool = Type.Object({
  type: Type.Enum(['function', 'custom'], {
    description: 'custom is refused: only functions are supported.',
  }),
  function: Type.Optional(
    Type.Object({
      name: Type.String({
        pattern: '^[a-zA-Z0-9_.-]{1,64}$',
        title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
      }),
      description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
      parameters: Type.Optional(
        Type.Object(
          {},
          {
            additionalProperties: true,
            title: 'an object (the JSON Schema of the arguments)',
            description: 'The JSON Schema of its arguments, which are an object. Without it, it takes none.',
          },
        ),
      ),
      strict: Type.Optional(
        Type.Boolean({
          description:
            'true: the arguments follow the schema also where the model decides by itself to call. Those of a forced call always do. ' +
            'A backend that cannot promise it answers without it, and X-Dropped-Parameters names it.',
        }),
      ),
    }),
  ),
});

const toolList = Type.Array(functionTool, {
  maxItems: 128,
  description:
    'What the model may ask to be called. Each has a name of its own; an empty list counts as none.',
});

const named = Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: Type.String() }) });

const allowed = Type.Object({
  type: Type.Literal('allowed_tools'),
  allowed_tools: Type.Object({ mode: Type.Enum(['auto', 'required']), tools: Type.Array(named) }),
});

const toolChoice = Type.Union([Type.Enum(['auto', 'none', 'required']), named, allowed], {
  title:
    'one of "auto", "none", "required" or {"type":"function","function":{"name":…}} or {"type":"allowed_tools","allowed_tools":{"mode":…,"tools":[…]}}',
  description:
    'auto (default): the model decides; none: no call; required: at least one call; a function: at least one call of it; ' +
    'allowed_tools: only these of the tools. Only with tools.',
});

export type ToolList = Static<typeof toolList>;
export type ToolChoiceBody = Static<typeof toolChoice>;

/** The body that /v1/chat/completions takes: validation, types and OpenAPI all come from here. */

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
  ...extensionFields,
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
    Type.Enum([...EFFORT_NAMES], {
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
