/** format, grammar, regex and choice become the core's OutputFormat. */
import type { OutputFormat } from '../../core/generation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import type { GenerateBody } from './schema.ts';

/** Each constrains the whole text. */
const FIELDS = ['format', 'grammar', 'regex', 'choice'] as const satisfies readonly (keyof GenerateBody)[];

export function parseOutput(body: GenerateBody): OutputFormat | undefined {
  const [field, other] = FIELDS.filter((name) => body[name] !== undefined);
  if (field === undefined) return undefined;
  if (other !== undefined)
    throw invalid(other, `${field} and ${other} are both given, but at most one of them is allowed.`);
  const { format, grammar, regex, choice } = body;
  if (grammar !== undefined) return { kind: 'grammar', grammar };
  if (regex !== undefined) return { kind: 'regex', regex };
  if (choice !== undefined) return { kind: 'choice', choices: choice };
  if (format === 'json') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
