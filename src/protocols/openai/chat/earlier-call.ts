/** A call that an assistant's message made earlier. */
import type { ToolCall } from '../../../core/generation.ts';
import { parseCallArguments } from '../call-arguments.ts';
import type { MessageBody } from './message-schema.ts';

type CallBody = NonNullable<MessageBody['tool_calls']>[number];

export function parseCall({ id, function: called }: CallBody, path: string): ToolCall {
  const { name, arguments: text } = called;
  return { id, name, arguments: parseCallArguments(text, `${path}.function.arguments`) };
}
