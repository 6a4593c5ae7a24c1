/** tools and tool_choice become the core's ToolUse. */
import type { Tool, ToolChoice, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
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
    requireParameters(tool, `tools[${index}].parameters`);
    if (names.has(tool.name))
      throw invalid(
        `tools[${index}].name`,
        `tools[${index}].name is ${JSON.stringify(tool.name)}, as that of another tool. Each needs its own.`,
      );
    names.add(tool.name);
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

function requireParameters({ parameters }: ToolList[number], path: string): void {
  if (parameters === undefined) return;
  const { type } = parameters as { readonly type?: unknown };
  if (type !== undefined && type !== 'object')
    throw invalid(
      `${path}.type`,
      `${path}.type is ${showValue(type)}, but must be "object": arguments have names.`,
    );
  refuseDeepNesting(parameters, path);
}
