/**
 * The messages of a chat become those of the core, one for one. As OpenAI insists: a tool's answer belongs to a call of the
 * assistant's message before it and its like, and every call is answered before the conversation goes on.
 */
import type { Message, ToolCall } from '../../../core/generation.ts';
import { CallLedger, listed } from '../../call-ledger.ts';
import { invalid } from '../../invalid.ts';
import { notTaken } from '../not-taken.ts';
import { parseContent } from './content.ts';
import { parseCall } from './earlier-call.ts';
import type { MessageBody } from './message-schema.ts';

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const ledger = new CallLedger();
  const parsed = messages.map((message, index) => {
    const path = `messages[${index}]`;
    if (message.role !== 'tool') refuseUnanswered(ledger, `${path}.role`, `is "${message.role}", but`);
    return parseMessage(message, path, ledger);
  });
  refuseUnanswered(ledger, 'messages', 'ends although');
  return parsed;
}

function refuseUnanswered(ledger: CallLedger, path: string, what: string): void {
  const { unanswered } = ledger;
  if (unanswered.length === 0) return;
  const ids = listed(unanswered);
  throw invalid(
    path,
    `${path} ${what} calls of the assistant’s message have no answer yet: ${ids}. Each needs a message with role "tool" and its tool_call_id.`,
  );
}

function parseMessage(message: MessageBody, path: string, ledger: CallLedger): Message {
  const { role } = message;
  if (role !== 'assistant' && message.tool_calls !== undefined && message.tool_calls.length > 0)
    throw invalid(`${path}.tool_calls`, `${path}.tool_calls is only allowed with role "assistant".`);
  switch (role) {
    case 'developer':
    case 'system':
      ledger.forget();
      return {
        role: 'system',
        content: parseContent(contentOf(message, path), `${path}.content`, ['text']).text,
      };
    case 'user': {
      ledger.forget();
      const content = contentOf(message, path);
      const { text, images } = parseContent(content, `${path}.content`, ['text', 'image_url']);
      return { role, content: text, ...(images.length > 0 && { images }) };
    }
    case 'assistant':
      return parseAssistant(message, path, ledger);
    case 'tool': {
      const toolCallId = ledger.answered(toolCallIdOf(message, path), {
        path,
        idPath: `${path}.tool_call_id`,
        misplaced: {
          path: `${path}.role`,
          message: `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
        },
      });
      return {
        role,
        content: parseContent(contentOf(message, path), `${path}.content`, ['text']).text,
        toolCallId,
      };
    }
    case 'function':
      throw notTaken(
        `${path}.role`,
        'is "function", which is not supported',
        'Use role "tool" with a tool_call_id instead.',
      );
    default:
      throw role satisfies never;
  }
}

function parseAssistant(message: MessageBody, path: string, ledger: CallLedger): Message {
  if (message.function_call !== undefined)
    throw notTaken(`${path}.function_call`, 'is not supported', 'Use tool_calls instead.');
  if (message.audio !== undefined)
    throw notTaken(`${path}.audio`, 'is not supported', 'Send what was said as content.');
  const content = message.content ?? message.refusal ?? '';
  const { text } = parseContent(content, `${path}.content`, ['text', 'refusal']);
  const reasoning = message.reasoning_content ?? message.reasoning ?? '';
  const calls = message.tool_calls ?? [];
  const callsPath = `${path}.tool_calls`;
  ledger.made(calls.map(({ id }, index) => ({ id, idPath: `${callsPath}[${index}].id` })));
  const toolCalls: readonly ToolCall[] = calls.map((call, index) =>
    parseCall(call, `${callsPath}[${index}]`),
  );
  return {
    role: 'assistant',
    content: text,
    ...(reasoning !== '' && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

function contentOf({ content, role }: MessageBody, path: string): NonNullable<MessageBody['content']> {
  if (content !== undefined) return content;
  throw invalid(
    `${path}.content`,
    `${path}.content is missing. With role "${role}" it must be a string or a list of parts.`,
  );
}

function toolCallIdOf({ tool_call_id }: MessageBody, path: string): string {
  if (tool_call_id !== undefined) return tool_call_id;
  throw invalid(
    `${path}.tool_call_id`,
    `${path}.tool_call_id is missing. It must be the id of the call that the message answers.`,
  );
}
