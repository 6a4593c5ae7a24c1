/** Content blocks as requests write them. Which of them goes into which message, and in which order, is for conversation.ts to say. */
import { type Static, Type } from 'typebox';

const open = { additionalProperties: true } as const;

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
    open,
  ),
);

/** What each kind of block holds, by its `type`. */
export const BLOCKS = {
  text: Type.Object({ type: Type.Literal('text'), text: Type.String() }),
  image: Type.Object({ type: Type.Literal('image'), source: Type.Object({}, open) }),
  document: Type.Object({
    type: Type.Literal('document'),
    source: Type.Object({}, open),
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
    input: Type.Object({}, { ...open, title: 'an object (the arguments by name)' }),
  }),
  /** In the result of a client's search for tools. */
  tool_reference: Type.Object({ type: Type.Literal('tool_reference'), tool_name: Type.String() }),
  /** In a system message: from there on the tool is offered, or no longer. */
  tool_addition: Type.Object({ type: Type.Literal('tool_addition'), tool: Type.Object({}, open) }),
  tool_removal: Type.Object({ type: Type.Literal('tool_removal'), tool: Type.Object({}, open) }),
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
export const Content = Type.Union([Type.String(), Type.Array(Type.Union(Object.values(BLOCKS)))], {
  description:
    'A text, or content blocks. Of images their data (base64), of documents their text: nothing is fetched. ' +
    'cache_control is accepted and means nothing here.',
});

export const Message = Type.Object({
  role: Type.Enum(['user', 'assistant', 'system']),
  content: Content,
});

export const SystemPrompt = Type.Union([Type.String(), Type.Array(BLOCKS.text)]);
