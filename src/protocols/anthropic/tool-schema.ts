/** Tools as requests write them, and which of them may be called. */
import { type Static, Type } from 'typebox';

export const Tool = Type.Object({
  type: Type.Optional(
    Type.Literal('custom', { title: '"custom": the server has no tools of its own, clients bring theirs' }),
  ),
  name: Type.String({
    pattern: '^[a-zA-Z0-9_-]{1,128}$',
    title: 'a name of 1 to 128 letters, digits, underscores or hyphens',
  }),
  description: Type.Optional(Type.String()),
  input_schema: Type.Object(
    {},
    { additionalProperties: true, title: 'an object (the JSON Schema of the arguments)' },
  ),
});

export const ToolChoice = Type.Object({
  type: Type.Enum(['auto', 'any', 'tool', 'none']),
  name: Type.Optional(Type.String({ description: 'With type tool.' })),
  disable_parallel_tool_use: Type.Optional(Type.Boolean({ description: 'One call at most.' })),
});

export type ToolBody = Static<typeof Tool>;
export type ToolChoiceBody = Static<typeof ToolChoice>;
