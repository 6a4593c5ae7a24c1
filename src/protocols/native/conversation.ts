/** The messages of a native body become those of the core. A tool's answer belongs to a call: of the assistant's message that stands before it and its like. */
import type { Message, ToolCall } from '../../core/generation.ts';
import { CallLedger } from '../call-ledger.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import type { MessageBody } from './message-schema.ts';
import type { ToolCallList } from './tool-schema.ts';

/** The fields that go with one role only. */
const FIELDS_OF_ROLES = [
  { field: 'tool_calls', role: 'assistant' },
  { field: 'tool_call_id', role: 'tool' },
] as const;

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const ledger = new CallLedger();
  return messages.map((message, index) => {
    const path = `messages[${index}]`;
    for (const { field, role } of FIELDS_OF_ROLES) {
      if (message[field] !== undefined && message.role !== role)
        throw invalid(`${path}.${field}`, `${path}.${field} is only allowed with role "${role}".`);
    }
    const { role, content } = message;
    if (role === 'tool') {
      const toolCallId = ledger.answered(message.tool_call_id, {
        path,
        idPath: `${path}.tool_call_id`,
        misplaced: {
          path: `${path}.role`,
          message: `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
        },
      });
      return { role, content, toolCallId };
    }
    if (role !== 'assistant' || message.tool_calls === undefined) {
      ledger.forget();
      return { role, content };
    }
    const callsPath = `${path}.tool_calls`;
    ledger.made(message.tool_calls.map(({ id }, call) => ({ id, idPath: `${callsPath}[${call}].id` })));
    return { role, content, toolCalls: parseCalls(message.tool_calls, callsPath) };
  });
}

function parseCalls(calls: ToolCallList, path: string): readonly ToolCall[] {
  return calls.map(({ id, name, arguments: values }, index) => {
    refuseDeepNesting(values, `${path}[${index}].arguments`);
    return { id, name, arguments: JSON.stringify(values) };
  });
}
