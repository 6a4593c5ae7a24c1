/** `format` becomes the core's OutputFormat. */
import type { OutputFormat } from '../../core/generation.ts';
import { refuseDeepNesting } from '../nesting.ts';

export function parseOutput(format: object | string = ''): OutputFormat | undefined {
  if (format === '') return undefined;
  if (typeof format === 'string') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
