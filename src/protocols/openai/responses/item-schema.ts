/** The items and content parts that the input of a response may have. Each is checked by itself, so that errors name its place. */
import { type Static, Type } from 'typebox';

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
export const InputItem = Type.Union([
  Type.Object({ ...MessageItem.properties, content: documentedContent }),
  FunctionCallItem,
  CustomToolCallItem,
  CallOutputItem,
  ReasoningItem,
  AdditionalToolsItem,
]);
