/** Tools, and which of them may be called, in the words of the OpenAI API and of one dialect. Pure. */
import type { Tool, ToolUse } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';

/** Some servers insist on a schema. */
const NO_PARAMETERS = { type: 'object', properties: {} };

export function toolFields(
  use: ToolUse | undefined,
  { namesTools }: Pick<Dialect, 'namesTools'>,
): Readonly<Record<string, unknown>> {
  if (use === undefined) return {};
  const { choice, single } = use;
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

function wireTool({ name, description, parameters }: Tool): Readonly<Record<string, unknown>> {
  const described = description === undefined ? { name } : { name, description };
  return { type: 'function', function: { ...described, parameters: parameters ?? NO_PARAMETERS } };
}
