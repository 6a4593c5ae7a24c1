/** A script's text is what it is: a format is taken only where the text has that form already, and refused elsewhere. Pure. */
import { Check } from 'typebox/value';
import { ServingError } from '../../core/errors.ts';
import type { OutputFormat } from '../../core/generation.ts';

export function refuseOtherForm(text: string | undefined, output: OutputFormat | undefined): void {
  if (output === undefined || (text !== undefined && hasForm(text, output))) return;
  throw new ServingError('invalid_request', {
    message: 'format asks for a form that the text of the scripted backend does not have. Change its script.',
    param: 'format',
  });
}

function hasForm(text: string, output: OutputFormat): boolean {
  try {
    const value: unknown = JSON.parse(text);
    if (output.kind === 'json-schema') return Check(output.schema as object, value);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
