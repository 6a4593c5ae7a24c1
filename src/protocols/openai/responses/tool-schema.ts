/** Tools of a response, which of them may be called, and what form its text has. */
import { type Static, Type } from 'typebox';

const anyObject = { additionalProperties: true } as const;

export const FunctionTool = Type.Object({
  type: Type.Literal('function'),
  name: Type.String({
    pattern: '^[a-zA-Z0-9_.-]{1,64}$',
    title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
  }),
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
  strict: Type.Optional(Type.Boolean({ description: 'Ignored.' })),
});

const toolName = Type.Object({ type: Type.Literal('function'), name: Type.String() });

export const NamedChoice = toolName;

export const AllowedTools = Type.Object({
  type: Type.Literal('allowed_tools'),
  mode: Type.Enum(['auto', 'required']),
  tools: Type.Array(toolName, { minItems: 1 }),
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
export type NamedChoice = Static<typeof NamedChoice>;
export type AllowedTools = Static<typeof AllowedTools>;
export type JsonSchemaFormat = Static<typeof JsonSchemaFormat>;
export type ToolChoiceBody = Static<typeof ChoiceWord> | NamedChoice | AllowedTools;
