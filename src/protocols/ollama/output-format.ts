/** `format` becomes the core's OutputFormat. */
import type { OutputFormat, ToolUse } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';

/** An answer is either a call, in the form that the model's template has for calls, or text in that format: never surely both. */
export function parseOutput(format: object | string = '', tools?: ToolUse): OutputFormat | undefined {
  if (format === '') return undefined;
  if (tools !== undefined)
    throw invalid(
      'format',
      'format cannot go with tools that may be called: a call has a form of its own. Leave one of the two away.',
    );
  if (typeof format === 'string') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
