/** Tools, and which of them may be called, in the words of the OpenAI API and of one dialect. Pure. */
import type { Tool, ToolUse } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';

/** Some servers insist on a schema. */
const NO_PARAMETERS = { type: 'object', properties: {} };

/**
 * vLLM holds a forced call to its schema only where the tool is strict, and the OpenAI service promises nothing otherwise: a
 * forced call always says so. `strict` false: only what the client itself says of it.
 */
export function toolFields(
  use: ToolUse | undefined,
  { namesTools }: Pick<Dialect, 'namesTools'>,
  { strict: forcedAreStrict = true }: { readonly strict?: boolean } = {},
): Readonly<Record<string, unknown>> {
  if (use === undefined) return {};
  const { choice, single } = use;
  const strict = forcedAreStrict && isForced(use);
  const wireTool = (tool: Tool) => wiredTool(strict ? { ...tool, strict } : tool);
  // Unsaid, servers allow as many as the model's template can tell apart.
  const parallel = single ? { parallel_tool_calls: false } : {};
  if (typeof choice !== 'object') {
    return { tools: use.tools.map(wireTool), tool_choice: choice, ...parallel };
  }
  if (!namesTools) {
    const named = use.tools.filter(({ name }) => name === choice.name);
    return { tools: named.map(wireTool), tool_choice: 'required', ...parallel };
  }
  const tool_choice = { type: 'function', function: { name: choice.name } };
  return { tools: use.tools.map(wireTool), tool_choice, ...parallel };
}

/** The model has to call a tool. */
export function isForced({ choice }: ToolUse): boolean {
  return choice === 'required' || typeof choice === 'object';
}

function wiredTool({
  name,
  description,
  parameters = NO_PARAMETERS,
  strict,
}: Tool): Readonly<Record<string, unknown>> {
  const described = description === undefined ? { name } : { name, description };
  return { type: 'function', function: { ...described, parameters, ...(strict && { strict }) } };
}
