/** Tools as requests write them, and which of them may be called. */
import { type Static, Type } from 'typebox';

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
