/** Tool calls as native answers show them. `arguments` is always an object: a call that was cut off has `arguments_text` in its place. */
import type { ToolCall } from '../../core/generation.ts';
import { isNestedTooDeeply } from '../nesting.ts';

export function renderToolCall({ id, name, arguments: text }: ToolCall) {
  const values = parseArguments(text);
  return values === undefined ? { id, name, arguments_text: text } : { id, name, arguments: values };
}

function parseArguments(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !isNestedTooDeeply(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
