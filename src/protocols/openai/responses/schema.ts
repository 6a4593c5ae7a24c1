/** The body of POST /v1/responses: validation, types and OpenAPI all come from here. */
import { type Static, type TObject, Type } from 'typebox';
import { functionFields, toolName } from '../../tools.ts';
import {
  EFFORT_NAMES,
  GOES_ALONG,
  GOES_ALONG_IF_ASKED,
  limitFields,
  model,
  samplingFields,
  vllmFields,
} from '../request-fields.ts';
import { constraintFields } from '../structured-output.ts';

const anyObject = { additionalProperties: true } as const;
const ignored = { description: 'Accepted and ignored.' } as const;

/** Any type but those that these schemas name. `title`: what it is. */
function otherThan(title: string, ...schemas: readonly TObject[]) {
  const names = schemas.flatMap(({ properties }) => {
    const { const: name, enum: several } = properties.type as {
      readonly const?: string;
      readonly enum?: readonly string[];
    };
    return several ?? name ?? [];
  });
  return Type.String({ not: { enum: names }, title });
}

const TextPart = Type.Object({ type: Type.Enum(['input_text', 'output_text']), text: Type.String() });

const RefusalPart = Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() });

const ImagePart = Type.Object(
  {
    type: Type.Literal('input_image'),
    image_url: Type.Optional(
      Type.String({ description: 'A data: URL. Addresses are rejected: nothing is fetched for a client.' }),
    ),
    file_id: Type.Optional(
      Type.String({ description: 'Rejected: no files are kept here.', deprecated: true }),
    ),
    detail: Type.Optional(Type.String(ignored)),
  },
  { description: 'In a message of the user or the output of a tool.' },
);

const FilePart = Type.Object(
  { type: Type.Literal('input_file') },
  { description: 'Rejected: send the text of the file as input_text.', deprecated: true },
);

const content = Type.Union([
  Type.String(),
  Type.Array(Type.Union([TextPart, RefusalPart, ImagePart, FilePart])),
]);

const MessageItem = Type.Object({
  type: Type.Optional(Type.Literal('message')),
  role: Type.Enum(['user', 'assistant', 'system', 'developer']),
  content,
});

const callId = Type.String({ minLength: 1 });
const calledTool = {
  call_id: callId,
  name: Type.String({ minLength: 1 }),
  namespace: Type.Optional(Type.String({ description: 'That of the tool, where it has one.' })),
};

const FunctionCallItem = Type.Object({
  type: Type.Literal('function_call'),
  ...calledTool,
  arguments: Type.String({ description: 'The text of a JSON object.' }),
});

const CustomCallItem = Type.Object({
  type: Type.Literal('custom_tool_call'),
  ...calledTool,
  input: Type.String(),
});

const CallOutputItem = Type.Object({
  type: Type.Enum(['function_call_output', 'custom_tool_call_output']),
  call_id: callId,
  output: Type.Union(content.anyOf, {
    description: 'A text, or a list of input_text and input_image parts; images are shown after the outputs.',
  }),
});

const reasoningTexts = (...types: readonly string[]) =>
  Type.Optional(Type.Array(Type.Object({ type: Type.Enum([...types]), text: Type.String() })));

const ReasoningItem = Type.Object(
  {
    type: Type.Literal('reasoning'),
    summary: reasoningTexts('summary_text'),
    content: reasoningTexts('reasoning_text', 'text'),
    encrypted_content: Type.Optional(Type.String({ description: 'Ignored: it cannot be read here.' })),
  },
  { description: 'Belongs to the assistant’s message or calls that follow.' },
);

const shellCallFields = {
  call_id: Type.Optional(callId),
  id: Type.Optional(callId),
};

const ShellCallItem = Type.Object(
  {
    type: Type.Enum(['local_shell_call', 'shell_call', 'apply_patch_call']),
    ...shellCallFields,
    action: Type.Optional(Type.Object({}, anyObject)),
    operation: Type.Optional(Type.Object({}, anyObject)),
  },
  { description: 'What a client ran itself for a tool that is not offered here.' },
);

const ShellOutputItem = Type.Object({
  type: Type.Enum(['local_shell_call_output', 'shell_call_output', 'apply_patch_call_output']),
  ...shellCallFields,
  output: Type.Optional(Type.Union([Type.String(), Type.Array(Type.Object({}, anyObject))])),
});

const ItemReference = Type.Object(
  { type: Type.Literal('item_reference') },
  { description: 'Rejected: no items are kept here.', deprecated: true },
);

const FunctionTool = Type.Object({
  type: Type.Literal('function'),
  name: toolName,
  description: Type.Optional(Type.String()),
  ...functionFields,
});

const CustomTool = Type.Object(
  {
    type: Type.Literal('custom'),
    name: toolName,
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
      'Its call is a text. A grammar is shown to the model but not enforced, and X-Dropped-Parameters names it.',
  },
);

const NamespaceTool = Type.Object({
  type: Type.Literal('namespace'),
  name: toolName,
  description: Type.Optional(Type.String()),
  tools: Type.Array(
    Type.Union([
      FunctionTool,
      CustomTool,
      Type.Object(
        { type: otherThan('another type', FunctionTool, CustomTool) },
        {
          ...anyObject,
          description: 'Rejected: a namespace has functions and custom tools.',
          deprecated: true,
        },
      ),
    ]),
    { minItems: 1, maxItems: 128 },
  ),
});

const OtherTool = Type.Object(
  { type: otherThan('the type of a hosted tool', FunctionTool, CustomTool, NamespaceTool) },
  {
    ...anyObject,
    description:
      'web_search, file_search, code_interpreter, image_generation, computer_use_preview, mcp, local_shell, shell, apply_patch and ' +
      'tool_search (with or without a date) are dropped, and X-Dropped-Parameters names them. Others are rejected.',
  },
);

const tools = Type.Array(Type.Union([FunctionTool, CustomTool, NamespaceTool, OtherTool]), { maxItems: 128 });

const AdditionalToolsItem = Type.Object(
  { type: Type.Literal('additional_tools'), tools },
  { description: 'Tools as in `tools`.' },
);

const KNOWN_ITEMS = [
  MessageItem,
  FunctionCallItem,
  CustomCallItem,
  CallOutputItem,
  ReasoningItem,
  AdditionalToolsItem,
  ShellCallItem,
  ShellOutputItem,
  ItemReference,
] as const;

const OtherItem = Type.Object(
  { type: otherThan('the type of an item of a hosted tool', ...KNOWN_ITEMS) },
  {
    ...anyObject,
    description:
      'What hosted tools left in the output (web_search_call, mcp_call and the like) is dropped, and X-Dropped-Parameters names it. ' +
      'Others are rejected.',
  },
);

const Item = Type.Union([...KNOWN_ITEMS, OtherItem]);

export const choiceMode = Type.Enum(['auto', 'none', 'required']);

export const ToolName = Type.Object({
  type: Type.Enum(['function', 'custom']),
  name: Type.String(),
  namespace: Type.Optional(Type.String({ description: 'Where two namespaces have a tool of that name.' })),
});

const otherToolName = (...known: readonly TObject[]) =>
  Type.Object(
    { type: otherThan('another type', ...known) },
    {
      ...anyObject,
      description: 'Rejected: only functions and custom tools can be called.',
      deprecated: true,
    },
  );

const AllowedTools = Type.Object({
  type: Type.Literal('allowed_tools'),
  mode: Type.Enum(['auto', 'required']),
  tools: Type.Array(Type.Union([ToolName, otherToolName(ToolName)]), { minItems: 1 }),
});

const toolChoice = Type.Union([choiceMode, ToolName, AllowedTools, otherToolName(ToolName, AllowedTools)]);

const JsonSchemaFormat = Type.Object({
  type: Type.Literal('json_schema'),
  name: Type.String({ minLength: 1 }),
  description: Type.Optional(Type.String()),
  schema: Type.Object({}, { ...anyObject, title: 'an object (a JSON Schema)' }),
  strict: Type.Optional(Type.Boolean({ description: 'Ignored: the text always is what the schema allows.' })),
});

export const textFormat = Type.Union([
  Type.Object({ type: Type.Literal('text') }),
  Type.Object({ type: Type.Literal('json_object') }),
  JsonSchemaFormat,
]);

const reasoning = Type.Object({
  effort: Type.Optional(Type.Enum([...EFFORT_NAMES])),
  summary: Type.Optional(
    Type.String({
      description:
        'auto, concise, detailed: the reasoning comes as the summary of the reasoning item, unabridged, with its events. ' +
        'Without it, or with none: as the content of the item.',
    }),
  ),
});

export const ResponsesBody = Type.Object({
  model,
  input: Type.Union([Type.String({ minLength: 1 }), Type.Array(Item, { minItems: 1 })], {
    description:
      'One user message, or the whole conversation: nothing of it is kept here between two requests.',
  }),
  instructions: Type.Optional(Type.String({ description: 'A system message in front of the input.' })),
  max_output_tokens: Type.Optional(
    Type.Integer({ minimum: 1, description: 'At most what the context leaves, which is the default too.' }),
  ),
  ...samplingFields,
  top_logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
  include: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'message.output_text.logprobs: the log-probability of each token. Other values are ignored.',
    }),
  ),
  ...limitFields,
  ...constraintFields,
  ...vllmFields,
  tools: Type.Optional(tools),
  tool_choice: Type.Optional(toolChoice),
  parallel_tool_calls: Type.Optional(Type.Boolean({ description: 'false: one call at most.' })),
  text: Type.Optional(
    Type.Object({
      format: Type.Optional(textFormat),
      verbosity: Type.Optional(Type.String(ignored)),
    }),
  ),
  reasoning: Type.Optional(reasoning),
  stream: Type.Optional(Type.Boolean()),
  stream_options: Type.Optional(Type.Object({}, { ...anyObject, ...ignored })),
  store: Type.Optional(
    Type.Boolean({ description: 'Accepted; responses are never kept, and the answer has false.' }),
  ),
  truncation: Type.Optional(
    Type.Enum(['disabled', 'auto'], { description: 'auto is rejected: nothing is cut.' }),
  ),
  background: Type.Optional(Type.Boolean({ description: 'true is rejected.' })),
  metadata: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'Comes back with the answer.' }),
  ),
  user: Type.Optional(Type.String({ description: `Comes back with the answer. ${GOES_ALONG}` })),
  safety_identifier: Type.Optional(
    Type.String({ description: `Comes back with the answer. ${GOES_ALONG_IF_ASKED}` }),
  ),
  prompt_cache_key: Type.Optional(
    Type.String({ description: `Comes back with the answer; caching needs no key. ${GOES_ALONG_IF_ASKED}` }),
  ),
  prompt_cache_retention: Type.Optional(Type.String(ignored)),
  prompt_cache_options: Type.Optional(Type.Object({}, { ...anyObject, ...ignored })),
  service_tier: Type.Optional(Type.String({ description: 'Ignored: there is one, "default".' })),
  max_tool_calls: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Ignored: it counts calls of hosted tools, and there are none.',
    }),
  ),
});

export type ResponsesBody = Static<typeof ResponsesBody>;
export type KnownItem = Static<(typeof KNOWN_ITEMS)[number]>;
export type InputItem = Static<typeof Item>;
export type MessageItem = Static<typeof MessageItem>;
export type ContentPart = Exclude<MessageItem['content'], string>[number];
export type CallOutputItem = Static<typeof CallOutputItem>;
export type ReasoningItem = Static<typeof ReasoningItem>;
export type KnownTool = FunctionTool | CustomTool | Static<typeof NamespaceTool>;
export type ToolBody = Static<typeof tools>[number];
export type FunctionTool = Static<typeof FunctionTool>;
export type CustomTool = Static<typeof CustomTool>;
export type ToolName = Static<typeof ToolName>;
export type AllowedTools = Static<typeof AllowedTools>;
export type TextFormat = Static<typeof textFormat>;
