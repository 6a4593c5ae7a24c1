/** tools and tool_choice become the core's ToolUse. */
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { checkArguments, takeToolName } from '../tool-rules.ts';
import type { GenerateBody } from './schema.ts';
import type { ToolChoiceBody, ToolList } from './tool-schema.ts';

export function parseTools({ tools, tool_choice, raw }: GenerateBody): ToolUse | undefined {
  if (tools === undefined) {
    if (tool_choice === undefined) return undefined;
    throw invalid('tool_choice', 'tool_choice is only allowed with tools.');
  }
  if (raw)
    throw invalid(
      'tools',
      'tools are not allowed with raw: a raw prompt has no chat template to put them into.',
    );
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    const path = `tools[${index}]`;
    if (tool.parameters !== undefined) checkArguments(tool.parameters, `${path}.parameters`);
    takeToolName(tool.name, path, names);
  }
  return { tools: tools.map(toolOf), choice: parseChoice(tool_choice, names) };
}

function toolOf({ strict, ...tool }: ToolList[number]): Tool {
  return strict ? { ...tool, strict } : tool;
}

function parseChoice(choice: ToolChoiceBody | undefined, names: ReadonlySet<string>): ToolChoice {
  if (choice === undefined) return 'auto';
  if (typeof choice === 'string' || names.has(choice.name)) return choice;
  throw invalid(
    'tool_choice.name',
    `tool_choice.name is ${showValue(choice.name)}, but the tools are ${[...names].join(', ')}.`,
  );
}
