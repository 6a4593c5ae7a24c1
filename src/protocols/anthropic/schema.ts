/** Content blocks as requests write them. Which of them goes into which message, and in which order, is for conversation.ts to say. */

import { type Static, Type } from 'typebox';

const openObject = { additionalProperties: true } as const;

export const ImageSource = Type.Object({
  type: Type.Literal('base64'),
  media_type: Type.Enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
  data: Type.String({ minLength: 1 }),
});

export const TextSource = Type.Object({
  type: Type.Literal('text'),
  media_type: Type.Optional(Type.Literal('text/plain')),
  data: Type.String(),
});

const citations = Type.Optional(
  Type.Object(
    { enabled: Type.Optional(Type.Literal(false, { title: 'false: answers here cite nothing' })) },
    openObject,
  ),
);

/** What each kind of block holds, by its `type`. */
export const BLOCKS = {
  text: Type.Object({ type: Type.Literal('text'), text: Type.String() }),
  image: Type.Object({ type: Type.Literal('image'), source: Type.Object({}, openObject) }),
  document: Type.Object({
    type: Type.Literal('document'),
    source: Type.Object({}, openObject),
    title: Type.Optional(Type.String()),
    context: Type.Optional(Type.String()),
    citations,
  }),
  search_result: Type.Object({
    type: Type.Literal('search_result'),
    title: Type.String(),
    source: Type.String(),
    content: Type.Array(Type.Unknown()),
    citations,
  }),
  thinking: Type.Object({ type: Type.Literal('thinking'), thinking: Type.String() }),
  redacted_thinking: Type.Object({ type: Type.Literal('redacted_thinking') }),
  tool_use: Type.Object({
    type: Type.Literal('tool_use'),
    id: Type.String({ minLength: 1 }),
    name: Type.String({ minLength: 1 }),
    input: Type.Object({}, { ...openObject, title: 'an object (the arguments by name)' }),
  }),
  /** In the result of a client's search for tools. */
  tool_reference: Type.Object({ type: Type.Literal('tool_reference'), tool_name: Type.String() }),
  /** In a system message: from there on the tool is offered, or no longer. */
  tool_addition: Type.Object({ type: Type.Literal('tool_addition'), tool: Type.Object({}, openObject) }),
  tool_removal: Type.Object({ type: Type.Literal('tool_removal'), tool: Type.Object({}, openObject) }),
  tool_result: Type.Object({
    type: Type.Literal('tool_result'),
    tool_use_id: Type.String({ minLength: 1 }),
    content: Type.Optional(Type.Unknown()),
    is_error: Type.Optional(Type.Boolean()),
  }),
} as const;

export type Blocks = { readonly [Name in keyof typeof BLOCKS]: Static<(typeof BLOCKS)[Name]> };
export type BlockType = keyof Blocks;

/** For descriptions; blocks are read one by one. */
const Content = Type.Union([Type.String(), Type.Array(Type.Union(Object.values(BLOCKS)))], {
  description:
    'A text, or content blocks. Of images their data (base64), of documents their text: nothing is fetched. ' +
    'cache_control is accepted and means nothing here.',
});

export const MessageBody = Type.Object({
  role: Type.Enum(['user', 'assistant', 'system']),
  content: Content,
});

const SystemPrompt = Type.Union([Type.String(), Type.Array(BLOCKS.text)]);

/** Tools as requests write them, and which of them may be called. */

export const Tool = Type.Object({
  type: Type.Optional(
    Type.Literal('custom', {
      title: '"custom", or the type of a tool that is known here: bash, text_editor or memory with a date',
      description:
        'bash_…, text_editor_… and memory_… (with their date), which clients run, are offered with their arguments. Tools of the ' +
        'vendor’s servers (web_search_…, web_fetch_…, code_execution_…, tool_search_tool_…, mcp_toolset, advisor_…) are dropped, ' +
        'and X-Dropped-Parameters names them.',
    }),
  ),
  name: Type.String({
    pattern: '^[a-zA-Z0-9_-]{1,128}$',
    title: 'a name of 1 to 128 letters, digits, underscores or hyphens',
  }),
  description: Type.Optional(Type.String()),
  defer_loading: Type.Optional(
    Type.Boolean({
      description: 'true: offered to the model once a tool_reference or a tool_addition has named it.',
    }),
  ),
  input_schema: Type.Object(
    {},
    { additionalProperties: true, title: 'an object (the JSON Schema of the arguments)' },
  ),
  strict: Type.Optional(
    Type.Boolean({
      description:
        'true: the input follows the schema also where the model decides by itself to call. That of a forced call always does. ' +
        'A backend that cannot promise it answers without it, and X-Dropped-Parameters names it.',
    }),
  ),
});

export const ToolChoice = Type.Object({
  type: Type.Enum(['auto', 'any', 'tool', 'none']),
  name: Type.Optional(Type.String({ description: 'With type tool.' })),
  disable_parallel_tool_use: Type.Optional(Type.Boolean({ description: 'One call at most.' })),
});

export type ToolBody = Static<typeof Tool>;
export type ToolChoiceBody = Static<typeof ToolChoice>;

/** The bodies of /v1/messages and of its count_tokens: validation, types and OpenAPI all come from here. */

export const Thinking = Type.Object({
  type: Type.Enum(['enabled', 'disabled', 'adaptive', 'between_tools']),
  budget_tokens: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Not told to the model; max_tokens bounds its thoughts too.' }),
  ),
  display: Type.Optional(
    Type.Enum(['summarized', 'omitted'], {
      description: 'omitted: the thinking block of the answer is empty.',
    }),
  ),
});

export const JsonFormat = Type.Object({
  type: Type.Literal('json_schema'),
  schema: Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' }),
});

export const OutputConfig = Type.Object({
  effort: Type.Optional(
    Type.Enum(['low', 'medium', 'high', 'xhigh', 'max'], {
      description: 'How much the model thinks, where thinking is enabled.',
    }),
  ),
  format: Type.Optional(Type.Unknown()),
});

const model = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'A configured model, or an alias of one. Default: default_model.',
  }),
);

const settings = {
  model,
  max_tokens: Type.Integer({ minimum: 1, description: 'Lowered to the model’s context where it is larger.' }),
  stop_sequences: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      maxItems: 64,
      description: 'Generation ends before any of these; never part of the answer.',
    }),
  ),
  stream: Type.Optional(Type.Boolean()),
  temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
  top_k: Type.Optional(Type.Integer({ minimum: 0 })),
} as const;

/** What is read by readers of its own, part by part. */
const unread = Type.Optional(Type.Unknown());
const conversation = {
  messages: Type.Array(Type.Unknown(), { minItems: 1 }),
  system: unread,
  tools: unread,
  tool_choice: unread,
  thinking: unread,
  output_config: unread,
  output_format: unread,
} as const;

const described = {
  messages: Type.Array(MessageBody, {
    minItems: 1,
    description:
      'Neighbours with the same role are one turn. Where the last is the assistant’s, the answer continues it (prefill): for ' +
      'backends that can.',
  }),
  system: Type.Optional(SystemPrompt),
  tools: Type.Optional(Type.Array(Tool, { maxItems: 128 })),
  tool_choice: Type.Optional(ToolChoice),
  thinking: Type.Optional(Thinking),
  output_config: Type.Optional(
    Type.Object({ ...OutputConfig.properties, format: Type.Optional(JsonFormat) }),
  ),
} as const;

const open = {
  additionalProperties: true,
  description:
    'Null counts as absent. Of the other fields of this API those that would change the answer are refused (container, ' +
    'mcp_servers, thread, compaction), all others are accepted and mean nothing here.',
} as const;

/** As it is checked. */
export const CheckedMessages = Type.Object({ ...settings, ...conversation }, open);
export const CheckedCount = Type.Object({ model, ...conversation }, open);

/** As it is described. */
export const MessagesBody = Type.Object({ ...settings, ...described }, open);
export const CountBody = Type.Object({ model, ...described }, open);

export type MessagesBody = Static<typeof CheckedMessages>;
export type ConversationBody = Static<typeof CheckedCount>;
