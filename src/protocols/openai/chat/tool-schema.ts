/** Tools as chats define them, and which of them may be called. */
import { type Static, Type } from 'typebox';

const functionTool = Type.Object({
  type: Type.Enum(['function', 'custom'], {
    description: 'custom is refused: only functions are supported.',
  }),
  function: Type.Optional(
    Type.Object({
      name: Type.String({
        pattern: '^[a-zA-Z0-9_.-]{1,64}$',
        title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
      }),
      description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
      parameters: Type.Optional(
        Type.Object(
          {},
          {
            additionalProperties: true,
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
    }),
  ),
});

export const toolList = Type.Array(functionTool, {
  maxItems: 128,
  description:
    'What the model may ask to be called. Each has a name of its own; an empty list counts as none.',
});

const named = Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: Type.String() }) });

const allowed = Type.Object({
  type: Type.Literal('allowed_tools'),
  allowed_tools: Type.Object({ mode: Type.Enum(['auto', 'required']), tools: Type.Array(named) }),
});

export const toolChoice = Type.Union([Type.Enum(['auto', 'none', 'required']), named, allowed], {
  title:
    'one of "auto", "none", "required" or {"type":"function","function":{"name":…}} or {"type":"allowed_tools","allowed_tools":{"mode":…,"tools":[…]}}',
  description:
    'auto (default): the model decides; none: no call; required: at least one call; a function: at least one call of it; ' +
    'allowed_tools: only these of the tools. Only with tools.',
});

export type ToolList = Static<typeof toolList>;
export type ToolChoiceBody = Static<typeof toolChoice>;
