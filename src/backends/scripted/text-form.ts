/** A script's text is what it is: a format is taken only where the text has that form already, and refused elsewhere. Pure. */
import { Check } from 'typebox/value';
import { ServingError } from '../../core/errors.ts';
import { outputField } from '../../core/features.ts';
import type { OutputFormat } from '../../core/generation.ts';

export function refuseOtherForm(text: string | undefined, output: OutputFormat | undefined): void {
  if (output === undefined || (text !== undefined && hasForm(text, output))) return;
  const param = outputField(output);
  throw new ServingError('invalid_request', {
    message: `${param} asks for a form that the text of the scripted backend does not have. Change its script.`,
    param,
  });
}

function hasForm(text: string, output: OutputFormat): boolean {
  if (output.kind === 'choice') return output.choices.includes(text);
  try {
    if (output.kind === 'regex') return new RegExp(`^(?:${output.regex})$`, 'u').test(text);
    const value: unknown = JSON.parse(text);
    if (output.kind === 'json-schema') return Check(output.schema as object, value);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
