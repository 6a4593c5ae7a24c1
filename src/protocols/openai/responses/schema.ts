/** The items and content parts that the input of a response may have. Each is checked by itself, so that errors name its place. */

import { type Static, type TSchema, Type } from 'typebox';
import { EFFORT_NAMES, extensionFields, model } from '../request-fields.ts';

/** Checked one by one, by their type. */
const parts = Type.Array(Type.Object({}, { additionalProperties: true }));

const contentPart = {
  text: Type.Object({
    type: Type.Enum(['input_text', 'output_text']),
    text: Type.String(),
  }),
  refusal: Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() }),
  image: Type.Object({
    type: Type.Literal('input_image'),
    image_url: Type.Optional(
      Type.String({ description: 'A data: URL. Addresses are refused: nothing is fetched for a client.' }),
    ),
    file_id: Type.Optional(Type.String({ description: 'Refused: no files are kept here.' })),
    detail: Type.Optional(Type.String({ description: 'Ignored.' })),
  }),
};

export const TextPart = contentPart.text;
export const RefusalPart = contentPart.refusal;
export const ImagePart = contentPart.image;

const documentedContent = Type.Union([
  Type.String(),
  Type.Array(Type.Union([contentPart.text, contentPart.refusal, contentPart.image])),
]);

export const MessageItem = Type.Object({
  type: Type.Optional(Type.Literal('message')),
  role: Type.Enum(['user', 'assistant', 'system', 'developer']),
  content: Type.Union([Type.String(), parts]),
});

const callId = Type.String({ minLength: 1 });
const calledTool = {
  call_id: callId,
  name: Type.String({ minLength: 1 }),
  namespace: Type.Optional(Type.String({ description: 'That of the tool, where it has one.' })),
};

export const FunctionCallItem = Type.Object({
  type: Type.Literal('function_call'),
  ...calledTool,
  arguments: Type.String({ description: 'The text of a JSON object.' }),
});

export const CustomToolCallItem = Type.Object({
  type: Type.Literal('custom_tool_call'),
  ...calledTool,
  input: Type.String(),
});

export const CallOutputItem = Type.Object({
  type: Type.Enum(['function_call_output', 'custom_tool_call_output']),
  call_id: callId,
  output: Type.Union([Type.String(), parts], {
    description: 'A text, or a list of input_text and input_image parts; images are shown after the outputs.',
  }),
});

export const AdditionalToolsItem = Type.Object(
  {
    type: Type.Literal('additional_tools'),
    tools: Type.Array(Type.Object({}, { additionalProperties: true }), { maxItems: 128 }),
  },
  { description: 'Tools as in `tools`.' },
);

/** What clients ran themselves for tools that are not offered here: local_shell, shell, apply_patch. */
export const ShellCallItem = Type.Object({
  type: Type.String(),
  call_id: Type.Optional(callId),
  id: Type.Optional(callId),
  action: Type.Optional(Type.Object({}, { additionalProperties: true })),
  operation: Type.Optional(Type.Object({}, { additionalProperties: true })),
});

export const ShellOutputItem = Type.Object({
  type: Type.String(),
  call_id: Type.Optional(callId),
  id: Type.Optional(callId),
  output: Type.Optional(Type.Union([Type.String(), parts])),
});

const thought = (...types: readonly string[]) =>
  Type.Array(Type.Object({ type: Type.Enum([...types]), text: Type.String() }));

export const ReasoningItem = Type.Object(
  {
    type: Type.Literal('reasoning'),
    summary: Type.Optional(thought('summary_text')),
    content: Type.Optional(thought('reasoning_text', 'text')),
    encrypted_content: Type.Optional(Type.String({ description: 'Ignored: nobody here can read it.' })),
  },
  { description: 'Belongs to the assistant’s message or calls that follow.' },
);

export type MessageItem = Static<typeof MessageItem>;
export type FunctionCallItem = Static<typeof FunctionCallItem>;
export type CustomToolCallItem = Static<typeof CustomToolCallItem>;
export type CallOutputItem = Static<typeof CallOutputItem>;
export type ShellCallItem = Static<typeof ShellCallItem>;
export type ShellOutputItem = Static<typeof ShellOutputItem>;
export type ReasoningItem = Static<typeof ReasoningItem>;

/** For OpenAPI. */
const InputItem = Type.Union([
  Type.Object({ ...MessageItem.properties, content: documentedContent }),
  FunctionCallItem,
  CustomToolCallItem,
  CallOutputItem,
  ReasoningItem,
  AdditionalToolsItem,
]);

/** Tools of a response, which of them may be called, and what form its text has. */

const anyObject = { additionalProperties: true } as const;

const name = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,64}$',
  title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
});

export const FunctionTool = Type.Object({
  type: Type.Literal('function'),
  name,
  description: Type.Optional(Type.String()),
  parameters: Type.Optional(
    Type.Object(
      {},
      {
        ...anyObject,
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
});

export const CustomTool = Type.Object(
  {
    type: Type.Literal('custom'),
    name,
    description: Type.Optional(Type.String()),
    format: Type.Optional(
      Type.Object({
        type: Type.Enum(['text', 'grammar']),
        syntax: Type.Optional(Type.Enum(['lark', 'regex'])),
        definition: Type.Optional(Type.String()),
      }),
    ),
  },
  {
    description:
      'Its call is a text. A grammar is shown to the model but not enforced, and X-Dropped-Parameters says so.',
  },
);

const anyTools = Type.Array(Type.Object({}, anyObject), { minItems: 1, maxItems: 128 });

/** Its tools are read one by one. */
export const NamespaceHead = Type.Object({
  type: Type.Literal('namespace'),
  name,
  description: Type.Optional(Type.String()),
  tools: anyTools,
});

const NamespaceTool = Type.Object({
  ...NamespaceHead.properties,
  tools: Type.Array(Type.Union([FunctionTool, CustomTool]), { minItems: 1, maxItems: 128 }),
});

const HostedTool = Type.Object(
  { type: Type.String() },
  {
    ...anyObject,
    description:
      'web_search, file_search, code_interpreter, image_generation, computer_use_preview, mcp, local_shell, shell, apply_patch and ' +
      'tool_search (with or without a date) are dropped, and X-Dropped-Parameters names them.',
  },
);

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

const FunctionEcho = Type.Object({
  type: Type.Literal('function'),
  name: Type.String(),
  description: nullable(Type.String()),
  parameters: nullable(Type.Object({}, anyObject)),
  strict: nullable(Type.Boolean()),
});

const CustomEcho = Type.Object({
  type: Type.Literal('custom'),
  name: Type.String(),
  description: nullable(Type.String()),
  format: Type.Object({ type: Type.Enum(['text', 'grammar']) }, anyObject),
});

/** A tool as the answer repeats it. */
export const ToolEcho = Type.Union([
  FunctionEcho,
  CustomEcho,
  Type.Object({
    type: Type.Literal('namespace'),
    name: Type.String(),
    description: nullable(Type.String()),
    tools: Type.Array(Type.Union([FunctionEcho, CustomEcho])),
  }),
]);

export const NamedChoice = Type.Object({
  type: Type.Enum(['function', 'custom']),
  name: Type.String(),
  namespace: Type.Optional(Type.String({ description: 'Where two namespaces have a tool of that name.' })),
});

export const AllowedTools = Type.Object({
  type: Type.Literal('allowed_tools'),
  mode: Type.Enum(['auto', 'required']),
  tools: Type.Array(NamedChoice, { minItems: 1 }),
});

export const ChoiceWord = Type.Enum(['auto', 'none', 'required']);

export const TextFormat = Type.Object({ type: Type.Literal('text') });

export const JsonObjectFormat = Type.Object({ type: Type.Literal('json_object') });

export const JsonSchemaFormat = Type.Object({
  type: Type.Literal('json_schema'),
  name: Type.String({ minLength: 1 }),
  description: Type.Optional(Type.String()),
  schema: Type.Object({}, { ...anyObject, title: 'an object (a JSON Schema)' }),
  strict: Type.Optional(Type.Boolean({ description: 'Ignored: the text always is what the schema allows.' })),
});

export type FunctionTool = Static<typeof FunctionTool>;
export type CustomTool = Static<typeof CustomTool>;
export type ToolEcho = Static<typeof ToolEcho>;
export type NamedChoice = Static<typeof NamedChoice>;
export type AllowedTools = Static<typeof AllowedTools>;
export type JsonSchemaFormat = Static<typeof JsonSchemaFormat>;
export type ToolChoiceBody = Static<typeof ChoiceWord> | NamedChoice | AllowedTools;

/** The body of POST /v1/responses. Fields that are null count as absent; those that nobody knows are no error. */

const stopString = Type.String({ minLength: 1 });
const text = Type.String({ minLength: 1 });
const anyObjectSchema = Type.Object({}, { additionalProperties: true });
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
  effort: Type.Optional(Type.Enum([...EFFORT_NAMES])),
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
  ...extensionFields,
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
  input: Type.Union([text, Type.Array(anyObjectSchema, { minItems: 1 })]),
  tools: Type.Optional(Type.Array(anyObjectSchema, { maxItems: 128 })),
  tool_choice: Type.Optional(Type.Union([ChoiceWord, anyObjectSchema])),
  text: Type.Optional(anyObjectSchema),
  reasoning: Type.Optional(anyObjectSchema),
});

export const TextSettings = Type.Object({
  format: Type.Optional(anyObjectSchema),
  verbosity: Type.Optional(Type.String()),
});

export type ResponsesFields = Static<typeof ResponsesFields>;
export type TextSettings = Static<typeof TextSettings>;
export type ReasoningSettings = Static<typeof ReasoningSettings>;
