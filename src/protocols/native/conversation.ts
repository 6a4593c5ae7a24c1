/** The messages of a native body become those of the core. A tool's answer belongs to a call: of the assistant's message that stands before it and its like. */
import type { Message, ToolCall } from '../../core/generation.ts';
import { invalid } from './invalid.ts';
import type { MessageBody } from './message-schema.ts';
import { refuseDeepNesting } from './nesting.ts';
import type { ToolCallList } from './tool-schema.ts';

/** The fields that go with one role only. */
const FIELDS_OF_ROLES = [
  { field: 'tool_calls', role: 'assistant' },
  { field: 'tool_call_id', role: 'tool' },
] as const;

/** Id of a call → whether it was answered. */
type CallsMade = Map<string, boolean>;

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  let calls: CallsMade = new Map();
  return messages.map((message, index) => {
    const path = `messages[${index}]`;
    for (const { field, role } of FIELDS_OF_ROLES) {
      if (message[field] !== undefined && message.role !== role)
        throw invalid(`${path}.${field}`, `${path}.${field} is only allowed with role "${role}".`);
    }
    const { role, content } = message;
    if (role === 'tool') return { role, content, toolCallId: answeredCall(message, path, calls) };
    if (role !== 'assistant' || message.tool_calls === undefined) {
      calls = new Map();
      return { role, content };
    }
    calls = callsMade(message.tool_calls, `${path}.tool_calls`);
    return { role, content, toolCalls: parseCalls(message.tool_calls, `${path}.tool_calls`) };
  });
}

function callsMade(calls: ToolCallList, path: string): CallsMade {
  const made: CallsMade = new Map();
  for (const [index, { id }] of calls.entries()) {
    if (made.has(id))
      throw invalid(
        `${path}[${index}].id`,
        `${path}[${index}].id is ${JSON.stringify(id)}, as that of another call of this message. Each needs its own.`,
      );
    made.set(id, false);
  }
  return made;
}

function parseCalls(calls: ToolCallList, path: string): readonly ToolCall[] {
  return calls.map(({ id, name, arguments: values }, index) => {
    refuseDeepNesting(values, `${path}[${index}].arguments`);
    return { id, name, arguments: JSON.stringify(values) };
  });
}

/** The call that a tool's message answers; from then on it is answered. */
function answeredCall(message: MessageBody, path: string, calls: CallsMade): string {
  if (calls.size === 0)
    throw invalid(
      `${path}.role`,
      `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
    );
  const id = message.tool_call_id ?? [...calls].find(([, answered]) => !answered)?.[0];
  if (id === undefined)
    throw invalid(path, `${path} answers no call: those of the assistant’s message all have their answer.`);
  const answered = calls.get(id);
  if (answered === undefined)
    throw invalid(
      `${path}.tool_call_id`,
      `${path}.tool_call_id is ${JSON.stringify(id)}, but the calls before it are ${[...calls.keys()].map((known) => JSON.stringify(known)).join(', ')}.`,
    );
  if (answered)
    throw invalid(
      `${path}.tool_call_id`,
      `${path}.tool_call_id is ${JSON.stringify(id)}, but that call has its answer already.`,
    );
  calls.set(id, true);
  return id;
}
