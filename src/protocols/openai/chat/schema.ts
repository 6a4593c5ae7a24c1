/** The body of POST /v1/chat/completions: validation, types and OpenAPI all come from here. */
import { type Static, type TSchema, Type } from 'typebox';
import { functionFields, toolName } from '../../tools.ts';
import {
  deliveryFields,
  EFFORT_NAMES,
  GOES_ALONG,
  GOES_ALONG_IF_ASKED,
  ignored,
  limitFields,
  logitBias,
  model,
  rejected,
  samplingFields,
  vllmFields,
} from '../request-fields.ts';
import { constraintFields, responseFormat } from '../structured-output.ts';

const textPart = Type.Object({ type: Type.Literal('text'), text: Type.String() });

const refusalPart = Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() });

const dataUrl = Type.String({
  title: 'a data: URL such as "data:image/png;base64,…": this server fetches nothing for a client',
});

const imagePart = Type.Object({
  type: Type.Literal('image_url'),
  image_url: Type.Union([Type.Object({ url: dataUrl, detail: ignored() }), dataUrl], {
    description: '{ url }, or the URL itself as some clients write it.',
  }),
});

const rejectedPart = Type.Object(
  { type: Type.Enum(['input_audio', 'file']) },
  { description: 'Rejected: send the text, or images.', deprecated: true },
);

const content = <Parts extends TSchema[]>(...parts: Parts) =>
  Type.Union([
    Type.String(),
    Type.Array(Type.Union([...parts, rejectedPart], { title: 'a content part: an object with a type' }), {
      minItems: 1,
    }),
  ]);

const name = ignored('Accepted; chat templates have no place for it.');

const noCalls = Type.Optional(
  Type.Array(Type.Unknown(), {
    maxItems: 0,
    title: 'empty: only messages with role "assistant" have calls',
  }),
);

const SystemMessage = Type.Object({
  role: Type.Enum(['system', 'developer'], { description: 'They mean the same.' }),
  content: content(textPart),
  name,
  tool_calls: noCalls,
});

const UserMessage = Type.Object({
  role: Type.Literal('user'),
  content: content(textPart, imagePart),
  name,
  tool_calls: noCalls,
});

const EarlierCall = Type.Object({
  id: Type.String({ minLength: 1, description: 'Its own within the message.' }),
  type: Type.Optional(Type.Literal('function')),
  function: Type.Object({
    name: Type.String({ minLength: 1 }),
    arguments: Type.String({ description: 'The text of a JSON object.' }),
  }),
});

const AssistantMessage = Type.Object({
  role: Type.Literal('assistant'),
  content: Type.Optional(content(textPart, refusalPart)),
  name,
  refusal: Type.Optional(Type.String({ description: 'Stands for content where there is none.' })),
  reasoning_content: Type.Optional(
    Type.String({ description: 'Its reasoning, for models whose templates take that.' }),
  ),
  reasoning: Type.Optional(Type.String({ description: 'As reasoning_content.' })),
  tool_calls: Type.Optional(
    Type.Array(EarlierCall, { maxItems: 128, description: 'The messages after it answer them.' }),
  ),
  audio: rejected('audio is not supported.'),
  function_call: rejected('tool_calls has taken its place.'),
});

const ToolMessage = Type.Object({
  role: Type.Literal('tool'),
  content: content(textPart, imagePart),
  tool_call_id: Type.String({ title: 'the id of the call that the message answers' }),
  tool_calls: noCalls,
});

const FunctionMessage = Type.Object(
  { role: Type.Literal('function') },
  { description: 'Rejected: messages with role tool have taken its place.', deprecated: true },
);

const Message = Type.Union([SystemMessage, UserMessage, AssistantMessage, ToolMessage, FunctionMessage]);

export const messages = Type.Array(Message, {
  minItems: 1,
  description:
    'Every call of an assistant’s message is answered by the messages with role tool right after it.',
});

const FunctionTool = Type.Object({
  type: Type.Literal('function'),
  function: Type.Object(
    {
      name: toolName,
      description: Type.Optional(Type.String({ description: 'Shown to the model.' })),
      ...functionFields,
    },
    { title: 'an object with a name' },
  ),
});

const CustomTool = Type.Object(
  { type: Type.Literal('custom') },
  { description: 'Rejected: describe it as a function.', deprecated: true },
);

export const tools = Type.Optional(
  Type.Array(Type.Union([FunctionTool, CustomTool]), {
    maxItems: 128,
    description:
      'What the model may ask to be called. Each has a name of its own; an empty list counts as none.',
  }),
);

const NamedTool = Type.Object({
  type: Type.Literal('function'),
  function: Type.Object({ name: Type.String() }),
});

const AllowedTools = Type.Object({
  type: Type.Literal('allowed_tools'),
  allowed_tools: Type.Object({
    mode: Type.Enum(['auto', 'required']),
    tools: Type.Array(NamedTool, { minItems: 1 }),
  }),
});

const toolChoice = Type.Union([Type.Enum(['auto', 'none', 'required']), NamedTool, AllowedTools], {
  title:
    'one of "auto", "none", "required" or {"type":"function","function":{"name":…}} or {"type":"allowed_tools","allowed_tools":{"mode":…,"tools":[…]}}',
  description:
    'auto (default): the model decides; none: no call; required: at least one call; a function: at least one call of it; ' +
    'allowed_tools: only these of the tools. Only with tools.',
});

export const ChatBody = Type.Object({
  model,
  messages,
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
  ...logitBias,
  ...limitFields,
  ...deliveryFields,
  logprobs: Type.Optional(Type.Boolean()),
  top_logprobs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 20, description: 'Only with logprobs set to true.' }),
  ),
  response_format: Type.Optional(responseFormat),
  ...constraintFields,
  ...vllmFields,
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
  tools,
  tool_choice: Type.Optional(toolChoice),
  parallel_tool_calls: Type.Optional(
    Type.Boolean({
      description: 'false: an answer has one call at most. Default: as many as the model wants.',
    }),
  ),
  reasoning_effort: Type.Optional(
    Type.Enum([...EFFORT_NAMES], {
      description:
        'For models that support reasoning. none switches it off; minimal is low, xhigh and max are high. Default: the model’s own.',
    }),
  ),
  chat_template_kwargs: Type.Optional(
    Type.Object(
      {},
      {
        additionalProperties: true,
        description:
          'For backends that take arguments of chat templates. enable_thinking and thinking switch reasoning on or off with every ' +
          'backend, where reasoning_effort is not given.',
      },
    ),
  ),
  enable_thinking: Type.Optional(
    Type.Boolean({ description: 'Switches reasoning on or off, where reasoning_effort is not given.' }),
  ),
  reasoning: Type.Optional(
    Type.Object(
      { effort: Type.Optional(Type.Enum([...EFFORT_NAMES])), enabled: Type.Optional(Type.Boolean()) },
      {
        additionalProperties: true,
        description: 'As OpenRouter has it: where reasoning_effort is not given.',
      },
    ),
  ),
  modalities: Type.Optional(
    Type.Array(Type.String(), { description: 'Only ["text"]: audio is not supported.' }),
  ),
  audio: rejected('audio is not supported.'),
  functions: rejected('tools has taken its place.'),
  function_call: rejected('tool_choice has taken its place.'),
  web_search_options: rejected('nothing is searched here.'),
  metadata: ignored(),
  moderation: ignored(),
  prediction: ignored('Accepted and ignored: it only concerns speed.'),
  prompt_cache_key: ignored(`Cached prefixes are found without it. ${GOES_ALONG_IF_ASKED}`),
  prompt_cache_retention: ignored('Accepted and ignored: cached prefixes are found without it.'),
  safety_identifier: ignored(GOES_ALONG_IF_ASKED),
  service_tier: ignored(),
  store: ignored('Accepted; nothing is stored.'),
  user: ignored(GOES_ALONG),
  verbosity: ignored(),
});

export type ChatBody = Static<typeof ChatBody>;
export type ChatMessage = Static<typeof Message>;
export type AssistantMessage = Static<typeof AssistantMessage>;
export type ChatTools = NonNullable<ChatBody['tools']>;
export type ToolChoiceBody = Static<typeof toolChoice>;
export type ContentPart =
  | Static<typeof textPart>
  | Static<typeof refusalPart>
  | Static<typeof imagePart>
  | Static<typeof rejectedPart>;
