/**
 * The messages of a chat in Ollama's words: arguments of calls are objects there, and what a tool answered names the tool.
 * Where in a message its images are is lost: Ollama has them beside the text. Pure.
 */
import { ServingError } from '../../core/errors.ts';
import type { Message, ToolCall } from '../../core/generation.ts';
import { isObject } from '../../upstream/lenient.ts';

export type OllamaMessage = Readonly<Record<string, unknown>>;

export function chatMessages(messages: readonly Message[]): readonly OllamaMessage[] {
  // Ids may come again in a later turn: an answer belongs to the latest call before it.
  const names = new Map<string, string>();
  return messages.map((message, index) => {
    for (const { id, name } of callsOf(message)) names.set(id, name);
    return ollamaMessage(message, { names, path: `messages[${index}]` });
  });
}

/** Ids that calls of this conversation have already. */
export function callIdsOf(messages: readonly Message[]): ReadonlySet<string> {
  return new Set(messages.flatMap((message) => callsOf(message).map(({ id }) => id)));
}

function callsOf(message: Message): readonly ToolCall[] {
  return message.role === 'assistant' ? (message.toolCalls ?? []) : [];
}

function ollamaMessage(
  message: Message,
  { names, path }: { readonly names: ReadonlyMap<string, string>; readonly path: string },
): OllamaMessage {
  const { role, content } = message;
  switch (message.role) {
    case 'system':
      return { role, content };
    case 'user': {
      const { images } = message;
      return { role, content, ...(images && { images: images.map(({ base64 }) => base64) }) };
    }
    case 'assistant': {
      const { reasoning, toolCalls } = message;
      return {
        role,
        content,
        ...(reasoning !== undefined && { thinking: reasoning }),
        ...(toolCalls && { tool_calls: toolCalls.map((call, index) => earlierCall(call, index, path)) }),
      };
    }
    case 'tool': {
      const { toolCallId } = message;
      if (toolCallId === undefined) return { role, content };
      const name = names.get(toolCallId);
      return { role, content, ...(name !== undefined && { tool_name: name }), tool_call_id: toolCallId };
    }
    default:
      return message satisfies never;
  }
}

function earlierCall({ id, name, arguments: text }: ToolCall, index: number, path: string): OllamaMessage {
  return { id, function: { name, arguments: argumentsOf(text, `${path}.tool_calls[${index}].arguments`) } };
}

function argumentsOf(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const values: unknown = JSON.parse(text);
    if (isObject(values)) return values;
  } catch {
    // Said below.
  }
  throw new ServingError('invalid_request', { message: `${path} must be a JSON object.`, param: path });
}
