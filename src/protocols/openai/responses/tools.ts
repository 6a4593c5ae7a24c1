/** tool_choice and parallel_tool_calls, with the tools that are offered, become the core's ToolUse. */
import type { ToolChoice, ToolUse } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { isHostedTool } from './hosted-tools.ts';
import type { OfferedTool, OfferedTools } from './offered-tools.ts';
import type { ResponsesFields } from './request-schema.ts';
import { AllowedTools, NamedChoice, type ToolChoiceBody } from './tool-schema.ts';

const readNamed = lenientReader(NamedChoice);
const readAllowed = lenientReader(AllowedTools);

/** Checked, and nothing else than what is known of it: answers repeat it. The tools that it names exist. */
export function parseToolChoice(given: ResponsesFields['tool_choice'], tools: OfferedTools): ToolChoiceBody {
  if (given === undefined) return 'auto';
  if (typeof given === 'string') return given;
  const { type } = given as { readonly type?: unknown };
  refuseHosted(given, 'tool_choice');
  switch (type) {
    case 'function':
    case 'custom': {
      const choice = readNamed(given, 'tool_choice');
      requireTool(choice, 'tool_choice', tools);
      return choiceBody(choice);
    }
    case 'allowed_tools': {
      for (const [index, each] of listIn(given).entries()) refuseHosted(each, `tool_choice.tools[${index}]`);
      const { mode, tools: allowed } = readAllowed(given, 'tool_choice');
      for (const [index, each] of allowed.entries()) requireTool(each, `tool_choice.tools[${index}]`, tools);
      return { type, mode, tools: allowed.map(choiceBody) };
    }
    default:
      throw invalid(
        'tool_choice.type',
        `tool_choice.type is ${showValue(type)}, but must be "function", "custom" or "allowed_tools".`,
      );
  }
}

/** Undefined where there are no tools; those that may not be called are told to the model all the same. */
export function toolUseOf(
  tools: OfferedTools,
  given: ToolChoiceBody,
  { parallel_tool_calls }: ResponsesFields,
): ToolUse | undefined {
  const { choice, allowed } = choiceOf(given, tools);
  if (tools.list.length === 0) {
    if (choice !== 'required') return undefined;
    const dropped = tools.dropped.length === 0 ? '' : ` (${tools.dropped.join(', ')} cannot run here)`;
    throw invalid(
      'tool_choice',
      `tool_choice is "required", but there are no tools${dropped}. Give tools too.`,
    );
  }
  return {
    tools: tools.list.filter((each) => allowed?.has(each) ?? true).map(({ tool }) => tool),
    choice,
    ...(parallel_tool_calls === false && choice !== 'none' && { single: true }),
  };
}

/** `allowed` absent: all tools. */
function choiceOf(
  given: ToolChoiceBody,
  tools: OfferedTools,
): { readonly choice: ToolChoice; readonly allowed?: ReadonlySet<OfferedTool> } {
  if (typeof given === 'string') return { choice: given };
  if (given.type !== 'allowed_tools') {
    return { choice: { name: find(given, tools)?.tool.name ?? given.name } };
  }
  const allowed = given.tools.flatMap((each) => find(each, tools) ?? []);
  return { choice: given.mode, allowed: new Set(allowed) };
}

function choiceBody({ type, name, namespace }: NamedChoice): NamedChoice {
  return { type, name, ...(namespace !== undefined && { namespace }) };
}

/** The first of that name, where no namespace is said. */
function find({ type, name, namespace }: NamedChoice, { list }: OfferedTools): OfferedTool | undefined {
  return list.find(
    (each) =>
      each.kind === type && each.name === name && (namespace === undefined || each.namespace === namespace),
  );
}

function refuseHosted(given: object, path: string): void {
  const { type } = given as { readonly type?: unknown };
  if (!isHostedTool(type)) return;
  throw invalid(
    `${path}.type`,
    `${path}.type is ${showValue(type)}, but that tool cannot run here and was dropped. Choose a function or a custom tool.`,
  );
}

function listIn(given: object): readonly object[] {
  const { tools } = given as { readonly tools?: unknown };
  if (!Array.isArray(tools)) return [];
  return tools.filter((each): each is object => typeof each === 'object' && each !== null);
}

function requireTool(choice: NamedChoice, path: string, tools: OfferedTools): void {
  if (find(choice, tools) !== undefined) return;
  const known =
    tools.list.length === 0
      ? 'there are no tools'
      : `the tools are ${tools.list.map(({ name }) => name).join(', ')}`;
  throw invalid(`${path}.name`, `${path}.name is ${showValue(choice.name)}, but ${known}.`);
}
