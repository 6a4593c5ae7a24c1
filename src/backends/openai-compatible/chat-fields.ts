/** A chat's messages and tools in the OpenAI API and one dialect, for generating and for counting. Images keep their place. Pure. */
import type { Image, Message, Tool, ToolCall, ToolUse } from '../../core/generation.ts';
import { withToolImagesShown } from '../../core/tool-images.ts';
import type { Dialect } from './dialect.ts';

type WireMessage = Readonly<Record<string, unknown>>;
type ContentPart = Readonly<Record<string, unknown>>;

export function wireMessages(
  messages: readonly Message[],
  dialect: Pick<Dialect, 'reasoningFields' | 'reasoningBesideCalls'>,
): readonly WireMessage[] {
  return withToolImagesShown(messages).map((message) => {
    switch (message.role) {
      case 'system':
        return { role: 'system', content: message.content };
      case 'user':
        return { role: 'user', content: userContent(message.content, message.images) };
      case 'assistant':
        return assistantMessage(message, dialect);
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
  { reasoningFields, reasoningBesideCalls }: Pick<Dialect, 'reasoningFields' | 'reasoningBesideCalls'>,
): WireMessage {
  const thought = reasoning ?? (reasoningBesideCalls && toolCalls !== undefined ? '' : undefined);
  const reasoningMembers = thought === undefined ? [] : reasoningFields.map((name) => [name, thought]);
  return {
    role: 'assistant',
    // Beside calls, chat templates distinguish null from an empty text.
    content: content === '' && toolCalls !== undefined ? null : content,
    ...Object.fromEntries(reasoningMembers),
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

/** Some servers require a schema. */
const NO_PARAMETERS = { type: 'object', properties: {} };

/**
 * vLLM enforces a forced call's schema only if the tool is strict, and the OpenAI service guarantees nothing otherwise: the tools of
 * a forced call are strict. `strict` false: as the client wrote them.
 */
export function toolFields(
  use: ToolUse | undefined,
  { namesTools }: Pick<Dialect, 'namesTools'>,
  { strict: forcedAreStrict = true }: { readonly strict?: boolean } = {},
): Readonly<Record<string, unknown>> {
  if (use === undefined) return {};
  const { choice, single } = use;
  const strict = forcedAreStrict && isForced(use);
  const wireTool = (tool: Tool) => wiredTool(strict ? { ...tool, strict } : tool);
  // By default, servers allow as many calls as the model's template can distinguish.
  const parallel = single ? { parallel_tool_calls: false } : {};
  if (typeof choice !== 'object') {
    return { tools: use.tools.map(wireTool), tool_choice: choice, ...parallel };
  }
  if (!namesTools) {
    const named = use.tools.filter(({ name }) => name === choice.name);
    return { tools: named.map(wireTool), tool_choice: 'required', ...parallel };
  }
  const tool_choice = { type: 'function', function: { name: choice.name } };
  return { tools: use.tools.map(wireTool), tool_choice, ...parallel };
}

/** The model must call a tool. */
export function isForced({ choice }: ToolUse): boolean {
  return choice === 'required' || typeof choice === 'object';
}

function wiredTool({
  name,
  description,
  parameters = NO_PARAMETERS,
  strict,
}: Tool): Readonly<Record<string, unknown>> {
  const described = description === undefined ? { name } : { name, description };
  return { type: 'function', function: { ...described, parameters, ...(strict && { strict }) } };
}
