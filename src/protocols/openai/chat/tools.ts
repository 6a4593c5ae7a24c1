/** tools, tool_choice and parallel_tool_calls become the core's ToolUse. */
import type { Tool, ToolChoice, ToolUse } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../field-errors.ts';
import { checkParameters, requireUniqueName } from '../../tools.ts';
import { unsupported } from '../errors.ts';
import type { ChatBody, ChatTools, ToolChoiceBody } from './schema.ts';

export function parseTools({
  tools = [],
  tool_choice,
  parallel_tool_calls,
}: Pick<ChatBody, 'tools' | 'tool_choice' | 'parallel_tool_calls'>): ToolUse | undefined {
  if (tools.length === 0) {
    // Without tools these two change nothing.
    if (tool_choice === undefined || tool_choice === 'auto' || tool_choice === 'none') return undefined;
    throw invalid('tool_choice', 'tool_choice is only allowed with tools.');
  }
  const names = new Set<string>();
  const byName = new Map<string, Tool>();
  for (const [index, entry] of tools.entries()) {
    const tool = parseTool(entry, `tools[${index}]`);
    requireUniqueName(tool.name, `tools[${index}].function`, names);
    byName.set(tool.name, tool);
  }
  return {
    ...choose(tool_choice, byName),
    ...(parallel_tool_calls === false && { single: true }),
  };
}

function parseTool(tool: ChatTools[number], path: string): Tool {
  if (tool.type === 'custom')
    throw unsupported(
      `${path}.type`,
      'is "custom", which is not supported. Describe it as a function instead.',
    );
  const { name, description, parameters, strict } = tool.function;
  if (parameters !== undefined) checkParameters(parameters, `${path}.function.parameters`);
  return {
    name,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { parameters }),
    ...(strict && { strict }),
  };
}

/** With allowed_tools the others are omitted: a model cannot call what it does not see. */
function choose(
  choice: ToolChoiceBody | undefined,
  byName: ReadonlyMap<string, Tool>,
): { readonly tools: readonly Tool[]; readonly choice: ToolChoice } {
  const all = [...byName.values()];
  if (choice === undefined || typeof choice === 'string') return { tools: all, choice: choice ?? 'auto' };
  if (choice.type === 'function') {
    const { name } = find(choice.function.name, byName, 'tool_choice.function.name');
    return { tools: all, choice: { name } };
  }
  const { mode, tools } = choice.allowed_tools;
  const allowed = tools.map((tool, index) =>
    find(tool.function.name, byName, `tool_choice.allowed_tools.tools[${index}].function.name`),
  );
  return { tools: [...new Set(allowed)], choice: mode };
}

function find(name: string, byName: ReadonlyMap<string, Tool>, path: string): Tool {
  const tool = byName.get(name);
  if (tool !== undefined) return tool;
  throw invalid(path, `${path} is ${showValue(name)}, but the tools are ${[...byName.keys()].join(', ')}.`);
}
