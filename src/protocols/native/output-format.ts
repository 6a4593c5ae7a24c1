/** format, grammar, regex and choice become the core's OutputFormat. */
import type { OutputFormat, ToolUse } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import type { GenerateBody } from './schema.ts';

/** Each constrains the whole text. */
const FIELDS = ['format', 'grammar', 'regex', 'choice'] as const satisfies readonly (keyof GenerateBody)[];

/**
 * Tools that may be called cannot go with it: an answer is either a call, in the form that the model's template has for
 * calls, or text in that format; no engine can promise both at once.
 */
export function parseOutput(body: GenerateBody, tools: ToolUse | undefined): OutputFormat | undefined {
  const [field, other] = FIELDS.filter((name) => body[name] !== undefined);
  if (field === undefined) return undefined;
  if (other !== undefined)
    throw invalid(other, `${field} and ${other} are both given, but at most one of them is allowed.`);
  if (tools !== undefined && tools.choice !== 'none') {
    throw invalid(
      field,
      `${field} cannot go with tools that may be called: a call has a form of its own. Set tool_choice to "none", or leave one of the two away.`,
    );
  }
  const { format, grammar, regex, choice } = body;
  if (grammar !== undefined) return { kind: 'grammar', grammar };
  if (regex !== undefined) return { kind: 'regex', regex };
  if (choice !== undefined) return { kind: 'choice', choices: choice };
  if (format === 'json') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
