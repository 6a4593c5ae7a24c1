/**
 * The messages of a chat become those of the core, one for one. As OpenAI insists: a tool's answer belongs to a call of the
 * assistant's message before it, and every call is answered before the conversation goes on.
 */
import type { Image, Message } from '../../../core/generation.ts';
import { invalid } from '../../field-errors.ts';
import { listIds, ToolCallMatcher } from '../../tools.ts';
import { parseCallArguments, parseContent, parseDataImage } from '../content.ts';
import { unsupported } from '../errors.ts';
import type { AssistantMessage, ChatMessage, ContentPart } from './schema.ts';

export function parseConversation(messages: readonly ChatMessage[]): readonly Message[] {
  const calls = new ToolCallMatcher();
  const parsed = messages.map((message, index) => {
    const path = `messages[${index}]`;
    if (message.role !== 'tool') rejectUnanswered(calls, `${path}.role`, `is "${message.role}", but`);
    return parseMessage(message, path, calls);
  });
  rejectUnanswered(calls, 'messages', 'ends although');
  return parsed;
}

function rejectUnanswered({ unanswered }: ToolCallMatcher, path: string, what: string): void {
  if (unanswered.length === 0) return;
  throw invalid(
    path,
    `${path} ${what} calls of the assistant’s message have no answer yet: ${listIds(unanswered)}. Each needs a message with role "tool" and its tool_call_id.`,
  );
}

function parseMessage(message: ChatMessage, path: string, calls: ToolCallMatcher): Message {
  switch (message.role) {
    case 'developer':
    case 'system':
      calls.reset();
      return { role: 'system', content: parseText(message.content, path) };
    case 'user': {
      calls.reset();
      const { text, images } = parseContent(message.content, `${path}.content`, parsePart);
      return { role: 'user', content: text, ...(images.length > 0 && { images }) };
    }
    case 'assistant':
      return parseAssistant(message, path, calls);
    case 'tool': {
      const toolCallId = calls.matchMessage(message.tool_call_id, path);
      const { text, images } = parseContent(message.content, `${path}.content`, parsePart);
      return { role: 'tool', content: text, toolCallId, ...(images.length > 0 && { images }) };
    }
    case 'function':
      throw unsupported(
        `${path}.role`,
        'is "function", which is not supported. Use role "tool" with a tool_call_id instead.',
      );
    default:
      throw message satisfies never;
  }
}

function parseAssistant(message: AssistantMessage, path: string, matcher: ToolCallMatcher): Message {
  const { content, refusal = '', tool_calls = [], audio, function_call } = message;
  if (function_call !== undefined)
    throw unsupported(`${path}.function_call`, 'is not supported. Use tool_calls instead.');
  if (audio !== undefined)
    throw unsupported(`${path}.audio`, 'is not supported. Send its transcript as content.');
  const text = parseText(content ?? refusal, path);
  const reasoning = message.reasoning_content ?? message.reasoning ?? '';
  const pathOf = (index: number) => `${path}.tool_calls[${index}]`;
  matcher.begin(tool_calls.map(({ id }, index) => ({ id, idPath: `${pathOf(index)}.id` })));
  const toolCalls = tool_calls.map(({ id, function: { name, arguments: given } }, index) => ({
    id,
    name,
    arguments: parseCallArguments(given, `${pathOf(index)}.function.arguments`),
  }));
  return {
    role: 'assistant',
    content: text,
    ...(reasoning !== '' && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

function parseText(content: string | readonly ContentPart[], path: string): string {
  return parseContent(content, `${path}.content`, parsePart).text;
}

function parsePart(part: ContentPart, path: string): string | Omit<Image, 'at'> {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'refusal':
      return part.refusal;
    case 'image_url':
      return typeof part.image_url === 'string'
        ? parseDataImage(part.image_url, `${path}.image_url`)
        : parseDataImage(part.image_url.url, `${path}.image_url.url`);
    case 'input_audio':
      throw unsupported(
        `${path}.type`,
        'is "input_audio", which is not supported. Send its transcript as text.',
      );
    case 'file':
      throw unsupported(
        `${path}.type`,
        'is "file", which is not supported. Send its text as a text part, or its pages as images.',
      );
    default:
      throw part satisfies never;
  }
}

/** Of the core's messages, as a chat's body names it: `[1].tool_calls[0].name` → `messages[1].tool_calls[0].function.name`. */
export function messageField(rest: string): string {
  const named = rest.replace(/\.images$/, '.content.image_url');
  return `messages${named.replace(/(\.tool_calls\[\d+\])\.(name|arguments)/, '$1.function.$2')}`;
}
