/** `tools`, in the form that OpenAI gave them, become the core's ToolUse. The model always decides: there is no tool_choice. */
import { type Static, Type } from 'typebox';
import type { Tool, ToolUse } from '../../core/generation.ts';
import { checkArguments, takeToolName } from '../tool-rules.ts';

export const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,128}$',
  title: 'a name of 1 to 128 letters, digits, underscores, dots or hyphens',
});

export const toolList = Type.Array(
  Type.Object({
    type: Type.Optional(Type.Literal('function')),
    function: Type.Object({
      name: toolName,
      description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
      parameters: Type.Optional(
        Type.Object(
          {},
          { additionalProperties: true, title: 'an object (the JSON Schema of the arguments)' },
        ),
      ),
    }),
  }),
  { maxItems: 128, description: 'What the model may ask to be called. Each has a name of its own.' },
);

type ToolList = Static<typeof toolList>;

export function parseTools(list: ToolList = []): ToolUse | undefined {
  if (list.length === 0) return undefined;
  const names = new Set<string>();
  const tools = list.map(({ function: { name, description, parameters } }, index): Tool => {
    const path = `tools[${index}].function`;
    takeToolName(name, path, names);
    if (parameters !== undefined) checkArguments(parameters, `${path}.parameters`);
    return {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
    };
  });
  return { tools, choice: 'auto' };
}
