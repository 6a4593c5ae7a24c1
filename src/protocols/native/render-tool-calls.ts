/** Tool calls as native answers show them. `arguments` is always an object: a call that was cut off has `arguments_text` in its place. */
import type { ToolCall } from '../../core/generation.ts';
import { objectIn } from '../object-in.ts';

export function renderToolCall({ id, name, arguments: text }: ToolCall) {
  const values = objectIn(text);
  return values === undefined ? { id, name, arguments_text: text } : { id, name, arguments: values };
}
