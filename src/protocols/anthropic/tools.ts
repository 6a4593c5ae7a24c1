/** tools and tool_choice become the core's ToolUse. */
import { Type } from 'typebox';
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { refuseDeepNesting } from '../nesting.ts';
import type { ConversationBody } from './schema.ts';
import { type ToolChoiceBody, ToolChoice as ToolChoiceSchema, Tool as ToolSchema } from './tool-schema.ts';

const MOST_TOOLS = 128;

const readList = lenientReader(
  Type.Object({ tools: Type.Optional(Type.Array(Type.Unknown(), { maxItems: MOST_TOOLS })) }),
);
/** Tools of other services lack what ours have: that they are such is said first. */
const readToolType = lenientReader(Type.Object({ type: ToolSchema.properties.type }));
const readTool = lenientReader(ToolSchema);
const readChoice = lenientReader(ToolChoiceSchema);

export function parseTools({ tools, tool_choice }: ConversationBody): ToolUse | undefined {
  const list = readList({ tools }, '').tools ?? [];
  const choice = tool_choice === undefined ? undefined : readChoice(tool_choice, 'tool_choice');
  if (list.length === 0) {
    if (choice === undefined || choice.type === 'auto' || choice.type === 'none') return undefined;
    throw invalid('tool_choice', 'tool_choice asks for a call, but there are no tools.');
  }
  const names = new Set<string>();
  const parsed = list.map((raw, index) => parseTool(raw, `tools[${index}]`, names));
  return {
    tools: parsed,
    choice: parseChoice(choice, names),
    ...(choice?.disable_parallel_tool_use && { single: true }),
  };
}

function parseTool(raw: unknown, path: string, names: Set<string>): Tool {
  readToolType(raw, path);
  const { name, description, input_schema } = readTool(raw, path);
  const { type } = input_schema as { readonly type?: unknown };
  if (type !== 'object')
    throw invalid(
      `${path}.input_schema.type`,
      `${path}.input_schema.type is ${showValue(type)}, but must be "object": arguments have names.`,
    );
  refuseDeepNesting(input_schema, `${path}.input_schema`);
  if (names.has(name))
    throw invalid(
      `${path}.name`,
      `${path}.name is ${JSON.stringify(name)}, as that of another tool. Each needs its own.`,
    );
  names.add(name);
  return { name, ...(description !== undefined && { description }), parameters: input_schema };
}

function parseChoice(choice: ToolChoiceBody | undefined, names: ReadonlySet<string>): ToolChoice {
  if (choice === undefined) return 'auto';
  const { type, name } = choice;
  switch (type) {
    case 'auto':
      return 'auto';
    case 'none':
      return 'none';
    case 'any':
      return 'required';
    case 'tool':
      if (name !== undefined && names.has(name)) return { name };
      throw invalid(
        'tool_choice.name',
        `tool_choice.name is ${showValue(name)}, but the tools are ${[...names].join(', ')}.`,
      );
    default:
      throw type satisfies never;
  }
}
