/** The messages of a chat in the words of the OpenAI API. Pure. Images stand where they stood in the text. */
import type { Image, Message, ToolCall } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';

export type WireMessage = Readonly<Record<string, unknown>>;
type ContentPart = Readonly<Record<string, unknown>>;

export function wireMessages(
  messages: readonly Message[],
  { thoughtNames }: Pick<Dialect, 'thoughtNames'>,
): readonly WireMessage[] {
  return messages.map((message) => {
    switch (message.role) {
      case 'system':
        return { role: 'system', content: message.content };
      case 'user':
        return { role: 'user', content: userContent(message.content, message.images) };
      case 'assistant':
        return assistantMessage(message, thoughtNames);
      case 'tool':
        return {
          role: 'tool',
          content: message.content,
          ...(message.toolCallId !== undefined && { tool_call_id: message.toolCallId }),
        };
      default:
        return message satisfies never;
    }
  });
}

function assistantMessage(
  { content, reasoning, toolCalls }: Extract<Message, { role: 'assistant' }>,
  thoughtNames: Dialect['thoughtNames'],
): WireMessage {
  const thoughts = reasoning === undefined ? [] : thoughtNames.map((name) => [name, reasoning]);
  return {
    role: 'assistant',
    // Templates tell "said nothing" from "said an empty text" where there are calls.
    content: content === '' && toolCalls !== undefined ? null : content,
    ...Object.fromEntries(thoughts),
    ...(toolCalls !== undefined && { tool_calls: toolCalls.map(wireCall) }),
  };
}

function wireCall({ id, name, arguments: text }: ToolCall): WireMessage {
  return { id, type: 'function', function: { name, arguments: text } };
}

function userContent(content: string, images: readonly Image[] | undefined): string | ContentPart[] {
  if (images === undefined || images.length === 0) return content;
  const parts: ContentPart[] = [];
  let from = 0;
  const textUntil = (to: number) => {
    if (to > from) parts.push({ type: 'text', text: content.slice(from, to) });
    from = Math.max(from, to);
  };
  for (const { mediaType, base64, at } of [...images].sort((one, other) => one.at - other.at)) {
    textUntil(at);
    parts.push({ type: 'image_url', image_url: { url: `data:${mediaType};base64,${base64}` } });
  }
  textUntil(content.length);
  return parts;
}
