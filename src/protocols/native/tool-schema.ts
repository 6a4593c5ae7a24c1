/** Tools as native bodies write them: their definitions, which of them may be called, and calls made earlier. */
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const open = { additionalProperties: true } as const;

const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,64}$',
  title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
});

const tool = Type.Object(
  {
    name: toolName,
    description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
    parameters: Type.Optional(
      Type.Object(
        {},
        {
          ...open,
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
  },
  closed,
);

export const toolList = Type.Array(tool, {
  minItems: 1,
  maxItems: 128,
  description:
    'What the model may ask to be called: the answer then has tool_calls and finish_reason "tool_calls". ' +
    'Each has a name of its own. Not with raw. Beside format or grammar the answer is a call, or text in that format.',
});

export const toolChoice = Type.Union(
  [
    Type.Enum(['auto', 'none', 'required']),
    Type.Object({ name: Type.String() }, { ...closed, title: '{"name": …} with the name of a tool' }),
  ],
  {
    description:
      'auto (default): the model decides; none: no call; required: at least one call; {"name": …}: at least one call of that tool. Only with tools.',
  },
);

export const toolCallList = Type.Array(
  Type.Object(
    {
      id: Type.String({ minLength: 1, description: 'Its own within the message.' }),
      name: toolName,
      arguments: Type.Object({}, { ...open, description: 'The arguments, by name.' }),
    },
    closed,
  ),
  { minItems: 1, maxItems: 128, description: 'With role assistant: the calls that it asked for.' },
);

export type ToolList = Static<typeof toolList>;
export type ToolChoiceBody = Static<typeof toolChoice>;
export type ToolCallList = Static<typeof toolCallList>;
