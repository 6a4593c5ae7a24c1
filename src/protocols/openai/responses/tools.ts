/** tools, tool_choice and parallel_tool_calls become the core's ToolUse. */
import type { Tool, ToolChoice, ToolUse } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { hostedTool } from './refusals.ts';
import type { ResponsesFields } from './request-schema.ts';
import { AllowedTools, FunctionTool, NamedChoice, type ToolChoiceBody } from './tool-schema.ts';

const readTool = lenientReader(FunctionTool);
const readNamed = lenientReader(NamedChoice);
const readAllowed = lenientReader(AllowedTools);

export function parseTools(given: ResponsesFields['tools'] = []): readonly FunctionTool[] {
  const names = new Set<string>();
  return given.map((raw, index) => {
    const path = `tools[${index}]`;
    const { type } = raw as { readonly type?: unknown };
    if (typeof type === 'string' && type !== 'function') throw hostedTool(type, `${path}.type`);
    const tool = readTool(raw, path);
    const parametersType = (tool.parameters as { readonly type?: unknown } | undefined)?.type;
    if (parametersType !== undefined && parametersType !== 'object')
      throw invalid(
        `${path}.parameters.type`,
        `${path}.parameters.type is ${showValue(parametersType)}, but must be "object": arguments have names.`,
      );
    if (names.has(tool.name))
      throw invalid(
        `${path}.name`,
        `${path}.name is ${showValue(tool.name)}, as that of another tool. Each needs its own.`,
      );
    names.add(tool.name);
    return tool;
  });
}

/** Checked, and nothing else than what is known of it: answers repeat it. The tools that it names exist. */
export function parseToolChoice(
  given: ResponsesFields['tool_choice'],
  tools: readonly FunctionTool[],
): ToolChoiceBody {
  if (given === undefined) return 'auto';
  if (typeof given === 'string') return given;
  const { type } = given as { readonly type?: unknown };
  switch (type) {
    case 'function': {
      const { name } = readNamed(given, 'tool_choice');
      requireTool(name, 'tool_choice.name', tools);
      return { type, name };
    }
    case 'allowed_tools': {
      const { mode, tools: allowed } = readAllowed(given, 'tool_choice');
      for (const [index, { name }] of allowed.entries())
        requireTool(name, `tool_choice.tools[${index}].name`, tools);
      return { type, mode, tools: allowed.map((tool) => ({ type: tool.type, name: tool.name })) };
    }
    default:
      throw invalid(
        'tool_choice.type',
        `tool_choice.type is ${showValue(type)}, but must be "function" or "allowed_tools": only functions can be called here.`,
      );
  }
}

/** Undefined where there are no tools; those that may not be called are told to the model all the same. */
export function toolUseOf(
  tools: readonly FunctionTool[],
  given: ToolChoiceBody,
  { parallel_tool_calls }: ResponsesFields,
): ToolUse | undefined {
  const { choice, allowed } = choiceOf(given);
  if (tools.length === 0) {
    if (choice !== 'required') return undefined;
    throw invalid('tool_choice', 'tool_choice is "required", but there are no tools. Give tools too.');
  }
  return {
    tools: tools.filter(({ name }) => allowed?.has(name) ?? true).map(toolOf),
    choice,
    ...(parallel_tool_calls === false && choice !== 'none' && { single: true }),
  };
}

/** `allowed` absent: all tools. */
function choiceOf(given: ToolChoiceBody): {
  readonly choice: ToolChoice;
  readonly allowed?: ReadonlySet<string>;
} {
  if (typeof given === 'string') return { choice: given };
  if (given.type === 'function') return { choice: { name: given.name } };
  return { choice: given.mode, allowed: new Set(given.tools.map(({ name }) => name)) };
}

function requireTool(name: string, path: string, tools: readonly FunctionTool[]): void {
  if (tools.some((tool) => tool.name === name)) return;
  const known =
    tools.length === 0 ? 'there are no tools' : `the tools are ${tools.map((tool) => tool.name).join(', ')}`;
  throw invalid(path, `${path} is ${showValue(name)}, but ${known}.`);
}

function toolOf({ name, description, parameters }: FunctionTool): Tool {
  return {
    name,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { parameters }),
  };
}
