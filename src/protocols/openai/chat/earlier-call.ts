/** A call that an assistant's message made earlier; its arguments are the text of an object. */
import type { ToolCall } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { refuseDeepNesting } from '../../nesting.ts';
import type { MessageBody } from './message-schema.ts';

type CallBody = NonNullable<MessageBody['tool_calls']>[number];

export function parseCall({ id, function: called }: CallBody, path: string): ToolCall {
  const { name, arguments: text } = called;
  // Clients write nothing where there is nothing to give.
  if (text.trim() === '') return { id, name, arguments: '{}' };
  const argumentsPath = `${path}.function.arguments`;
  const values = parsed(text);
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw invalid(
      argumentsPath,
      `${argumentsPath} is ${showValue(text)}, but must be the text of a JSON object.`,
    );
  refuseDeepNesting(values, argumentsPath);
  return { id, name, arguments: text };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
