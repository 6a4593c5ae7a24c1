/** Whether an answer has to call a tool, and the grammar that leaves it nothing else to say. Pure. */
import type { ToolUse } from '../../../core/generation.ts';
import { toolCallGrammar } from '../grammar/tool-call-grammar.ts';
import type { ToolFormat } from './tools/tool-format.ts';

/** Undefined where nothing is forced. Throws `invalid_request` for a tool whose parameters cannot be used. */
export function forcedCallGrammar(
  use: ToolUse | undefined,
  format: ToolFormat | undefined,
): string | undefined {
  if (use === undefined || format === undefined) return undefined;
  const { tools, choice } = use;
  if (choice === 'auto' || choice === 'none') return undefined;
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = choice === 'required' ? all : all.filter(({ tool }) => tool.name === choice.name);
  return toolCallGrammar({ tools: allowed, form: format.written, single: choice !== 'required' });
}
