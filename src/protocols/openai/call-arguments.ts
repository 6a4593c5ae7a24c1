/** The arguments of a call that was made earlier: the text of an object. */
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';

export function parseCallArguments(text: string, path: string): string {
  // Clients write nothing where there is nothing to give.
  if (text.trim() === '') return '{}';
  const values = parsed(text);
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw invalid(path, `${path} is ${showValue(text)}, but must be the text of a JSON object.`);
  refuseDeepNesting(values, path);
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
