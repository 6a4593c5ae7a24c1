/** The bodies of /v1/messages and of its count_tokens: validation, types and OpenAPI all come from here. */
import { type Static, Type } from 'typebox';
import { Message, SystemPrompt } from './content-schema.ts';
import { Tool, ToolChoice } from './tool-schema.ts';

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
  messages: Type.Array(Message, {
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
