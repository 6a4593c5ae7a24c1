/** The bodies of /v1/messages and of its count_tokens: they are checked, typed and published by these schemas. */
import { type Static, type TSchema, Type } from 'typebox';

/** As many as the API's own search for deferred tools takes. How many are offered to the model is bounded in tools.ts. */
const MAX_TOOLS = 10_000;

const anyFields = { additionalProperties: true } as const;

/** A text, or a list of blocks of these types. */
function contentOf<Blocks extends TSchema[]>(blocks: [...Blocks], options: { description?: string } = {}) {
  const block = Type.Union(blocks, { title: 'a content block: an object with a type' });
  return Type.Union([Type.String(), Type.Array(block, { title: 'a list of content blocks' })], options);
}

// Content blocks

const TextBlock = Type.Object({ type: Type.Literal('text'), text: Type.String() });

const ImageBlock = Type.Object({
  type: Type.Literal('image'),
  source: Type.Object({
    type: Type.Literal('base64', { title: '"base64": the server fetches nothing, so send the image itself' }),
    media_type: Type.Enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
    data: Type.String({ pattern: '^[A-Za-z0-9+/=]+$', title: 'base64 and nothing else' }),
  }),
});

const citations = Type.Optional(
  Type.Object(
    { enabled: Type.Optional(Type.Literal(false, { title: 'false: answers here cite nothing' })) },
    anyFields,
  ),
);

const DocumentBlock = Type.Object({
  type: Type.Literal('document'),
  source: Type.Union([
    Type.Object({
      type: Type.Literal('text'),
      media_type: Type.Optional(Type.Literal('text/plain')),
      data: Type.String(),
    }),
    Type.Object({
      type: Type.Literal('content', { title: '"content": the server reads no files and fetches nothing' }),
      content: contentOf([TextBlock, ImageBlock]),
    }),
  ]),
  title: Type.Optional(Type.String()),
  context: Type.Optional(Type.String()),
  citations,
});

const SearchResultBlock = Type.Object({
  type: Type.Literal('search_result'),
  title: Type.String(),
  source: Type.String(),
  content: Type.Array(TextBlock),
  citations,
});

const SERVER_BLOCK_TYPES_LIST = [
  'server_tool_use',
  'mcp_tool_use',
  'container_upload',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'mcp_tool_result',
  'advisor_tool_result',
] as const;
export const SERVER_BLOCK_TYPES: ReadonlySet<string> = new Set(SERVER_BLOCK_TYPES_LIST);

/** Left in earlier answers by tools of the vendor's servers. */
const ServerBlock = Type.Object(
  { type: Type.Enum([...SERVER_BLOCK_TYPES_LIST], { title: 'the type of a block of a server tool' }) },
  { ...anyFields, description: 'Dropped: no model here can read it. X-Dropped-Parameters names it.' },
);

/** In the result of a client's search for tools. */
const ToolReferenceBlock = Type.Object({ type: Type.Literal('tool_reference'), tool_name: Type.String() });

const ToolResultBlock = Type.Object({
  type: Type.Literal('tool_result'),
  tool_use_id: Type.String({ minLength: 1 }),
  content: Type.Optional(
    contentOf([TextBlock, ImageBlock, DocumentBlock, SearchResultBlock, ToolReferenceBlock, ServerBlock]),
  ),
  is_error: Type.Optional(Type.Boolean()),
});

const ToolUseBlock = Type.Object({
  type: Type.Literal('tool_use'),
  id: Type.String({ minLength: 1 }),
  name: Type.String({ minLength: 1 }),
  input: Type.Object({}, { ...anyFields, title: 'an object (the arguments by name)' }),
});

// Tools

const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_-]{1,128}$',
  title: 'a name of 1 to 128 letters, digits, underscores or hyphens',
});
const deferLoading = Type.Optional(
  Type.Boolean({
    description: 'true: offered to the model once a tool_reference or a tool_addition has named it.',
  }),
);
const strict = Type.Optional(
  Type.Boolean({
    description:
      'true: the input follows the schema also where the model decides by itself to call. That of a forced call always does. ' +
      'A backend that cannot promise it answers without it, and X-Dropped-Parameters names it.',
  }),
);

const CustomTool = Type.Object({
  type: Type.Optional(Type.Literal('custom')),
  name: toolName,
  description: Type.Optional(Type.String()),
  input_schema: Type.Object({}, { ...anyFields, title: 'an object (the JSON Schema of the arguments)' }),
  defer_loading: deferLoading,
  strict,
});

const ClientTool = Type.Object(
  {
    type: Type.String({
      pattern: '^(bash|text_editor|memory)_\\d{8}$',
      title: 'the type of a tool that the client runs (bash, text_editor or memory with a date)',
    }),
    name: toolName,
    defer_loading: deferLoading,
    strict,
  },
  { description: 'The client runs it. The model is offered it with its arguments.' },
);

const ServerTool = Type.Object(
  {
    type: Type.String({
      pattern:
        '^(web_search|web_fetch|code_execution|tool_search_tool(_regex|_bm25)?|mcp_toolset|advisor)(_\\d{8})?$',
      title:
        'the type of a server tool (web_search, web_fetch, code_execution … with a date), which is dropped',
    }),
    name: Type.Optional(Type.String()),
  },
  {
    ...anyFields,
    description: 'A tool of the vendor’s servers: dropped, and X-Dropped-Parameters names it.',
  },
);

const ToolChoice = Type.Union([
  Type.Object({
    type: Type.Enum(['auto', 'any', 'none']),
    disable_parallel_tool_use: Type.Optional(Type.Boolean({ description: 'One call at most.' })),
  }),
  Type.Object({
    type: Type.Literal('tool'),
    name: Type.String({ description: 'Of the tool that is called.' }),
    disable_parallel_tool_use: Type.Optional(Type.Boolean({ description: 'One call at most.' })),
  }),
]);

/** In a system message: from there on the tool is offered. */
const ToolAdditionBlock = Type.Object({
  type: Type.Literal('tool_addition'),
  tool: Type.Union([
    Type.Object({ type: Type.Literal('tool_reference'), name: Type.String() }),
    CustomTool,
    ClientTool,
  ]),
});
/** In a system message: from there on the tool is offered no longer. */
const ToolRemovalBlock = Type.Object({
  type: Type.Literal('tool_removal'),
  tool: Type.Object({ name: Type.String() }, anyFields),
});

// Messages

const SystemContent = contentOf([TextBlock, ToolAdditionBlock, ToolRemovalBlock]);

const Message = Type.Union([
  Type.Object({
    role: Type.Literal('user'),
    content: contentOf(
      [TextBlock, ImageBlock, DocumentBlock, SearchResultBlock, ToolResultBlock, ServerBlock],
      { description: 'Images and documents bring their data: nothing is fetched.' },
    ),
  }),
  Type.Object({
    role: Type.Literal('assistant'),
    content: contentOf([
      TextBlock,
      Type.Object({ type: Type.Literal('thinking'), thinking: Type.String() }),
      Type.Object({ type: Type.Literal('redacted_thinking') }),
      ToolUseBlock,
      ServerBlock,
    ]),
  }),
  Type.Object({ role: Type.Literal('system'), content: SystemContent }),
]);

// Bodies

const JsonFormat = Type.Object({
  type: Type.Literal('json_schema'),
  schema: Type.Object({}, { ...anyFields, title: 'an object (a JSON Schema)' }),
});

const promptFields = {
  model: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'A configured model, or an alias of one. Default: default_model.',
    }),
  ),
  messages: Type.Array(Message, {
    minItems: 1,
    description:
      'Neighbours with the same role are one turn. Where the last is the assistant’s, the answer continues it (prefill): for ' +
      'backends that can. cache_control is accepted and ignored.',
  }),
  system: Type.Optional(SystemContent),
  tools: Type.Optional(Type.Array(Type.Union([CustomTool, ClientTool, ServerTool]), { maxItems: MAX_TOOLS })),
  tool_choice: Type.Optional(ToolChoice),
  thinking: Type.Optional(
    Type.Object({
      type: Type.Enum(['enabled', 'disabled', 'adaptive', 'between_tools']),
      budget_tokens: Type.Optional(
        Type.Integer({
          minimum: 1,
          description: 'Ignored: max_tokens bounds the thinking too.',
        }),
      ),
      display: Type.Optional(
        Type.Enum(['summarized', 'omitted'], {
          description: 'omitted: the thinking block of the answer is empty.',
        }),
      ),
    }),
  ),
  output_config: Type.Optional(
    Type.Object({
      effort: Type.Optional(
        Type.Enum(['low', 'medium', 'high', 'xhigh', 'max'], {
          description: 'How much the model thinks, where thinking is enabled.',
        }),
      ),
      format: Type.Optional(JsonFormat),
    }),
  ),
  output_format: Type.Optional(
    Type.Object(JsonFormat.properties, { description: 'The old name of output_config.format.' }),
  ),
};

const otherFields = {
  ...anyFields,
  description:
    'Null counts as absent. Of the other fields of this API those that would change the answer are rejected (container, ' +
    'mcp_servers, thread, compaction); all others are accepted and ignored.',
} as const;

export const CountBody = Type.Object(promptFields, otherFields);

export const MessagesBody = Type.Object(
  {
    ...promptFields,
    max_tokens: Type.Integer({
      minimum: 1,
      description: 'Lowered to the model’s context where it is larger.',
    }),
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
  },
  otherFields,
);

export type CountBody = Static<typeof CountBody>;
export type MessagesBody = Static<typeof MessagesBody>;
export type MessageBody = Static<typeof Message>;
export type SystemContent = Static<typeof SystemContent>;
export type TextBlock = Static<typeof TextBlock>;
export type ServerBlock = Static<typeof ServerBlock>;
/** Blocks that a model is shown as text and images. */
export type ShownBlock =
  | TextBlock
  | Static<typeof ImageBlock>
  | Static<typeof DocumentBlock>
  | Static<typeof SearchResultBlock>;
export type ToolResultBlock = Static<typeof ToolResultBlock>;
export type CustomTool = Static<typeof CustomTool>;
export type ServerTool = Static<typeof ServerTool>;
export type ClientTool = Static<typeof ClientTool>;
export type ToolChoiceBody = Static<typeof ToolChoice>;
