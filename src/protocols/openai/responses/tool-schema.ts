/** Tools of a response, which of them may be called, and what form its text has. */
import { type Static, type TSchema, Type } from 'typebox';

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

export const NamespaceTool = Type.Object({
  ...NamespaceHead.properties,
  tools: Type.Array(Type.Union([FunctionTool, CustomTool]), { minItems: 1, maxItems: 128 }),
});

export const HostedTool = Type.Object(
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
