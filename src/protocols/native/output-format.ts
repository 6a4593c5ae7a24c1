/** format and grammar become the core's OutputFormat. */
import type { OutputFormat, ToolUse } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import type { GenerateBody } from './schema.ts';

/**
 * Tools that may be called cannot go with it: an answer is either a call, in the form that the model's template has for
 * calls, or text in that format; no engine can promise both at once.
 */
export function parseOutput(
  { format, grammar }: GenerateBody,
  tools: ToolUse | undefined,
): OutputFormat | undefined {
  if (format === undefined && grammar === undefined) return undefined;
  if (format !== undefined && grammar !== undefined)
    throw invalid('grammar', 'format and grammar are both given, but at most one of them is allowed.');
  if (tools !== undefined && tools.choice !== 'none') {
    const field = format === undefined ? 'grammar' : 'format';
    throw invalid(
      field,
      `${field} cannot go with tools that may be called: a call has a form of its own. Set tool_choice to "none", or leave one of the two away.`,
    );
  }
  if (grammar !== undefined) return { kind: 'grammar', grammar };
  if (format === 'json') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
