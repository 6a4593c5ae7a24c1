/**
 * Conversations in the shape that the templates of models read, and rewritten for templates that reject or ignore parts
 * of it. Pure.
 */
import type { Message, Tool } from '../../../core/generation.ts';
import { toolDefinition } from './tools/tool-syntax.ts';

export interface TemplateMessage {
  readonly role: Message['role'];
  readonly content: string | readonly { readonly type: 'text'; readonly text: string }[];
  /** Reasoning of an assistant, by the two names that templates read. */
  readonly reasoning_content?: string;
  readonly thinking?: string;
  readonly tool_calls?: readonly TemplateCall[];
  readonly tool_call_id?: string;
  /** Of the tool whose result this is. */
  readonly name?: string;
}

interface TemplateCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: unknown };
}

/** `objects`: arguments as values instead of JSON text, where the text is valid JSON. */
export function toTemplateMessages(
  messages: readonly Message[],
  { objects }: { readonly objects: boolean },
): readonly TemplateMessage[] {
  const names = new Map<string, string>();
  return messages.map((message) => {
    if (message.role === 'tool') {
      const { role, content, toolCallId } = message;
      const name = toolCallId === undefined ? undefined : names.get(toolCallId);
      return {
        role,
        content,
        ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
        ...(name !== undefined && { name }),
      };
    }
    const { role, content } = message;
    if (message.role !== 'assistant') return { role, content };
    const { reasoning, toolCalls: calls = [] } = message;
    const reasoned = reasoning === undefined ? {} : { reasoning_content: reasoning, thinking: reasoning };
    if (calls.length === 0) return { role, content, ...reasoned };
    for (const call of calls) names.set(call.id, call.name);
    const templateCalls = calls.map(({ id, name, arguments: text }) => ({
      id,
      type: 'function' as const,
      function: { name, arguments: objects ? asRenderable(parse(text)) : text },
    }));
    return { role, content, ...reasoned, tool_calls: templateCalls };
  });
}

export function toTemplateTools(tools: readonly Tool[]): readonly unknown[] {
  return tools.map((tool) => asRenderable(toolDefinition(tool)));
}

type Rewrite = (messages: readonly TemplateMessage[]) => readonly TemplateMessage[];

/**
 * Rewrites for the demands of some templates. Each is applied to the result of those before it, and only if the template
 * has rejected that. The meaning stays the same, until the last one removes reasoning.
 */
export const FALLBACKS: readonly Rewrite[] = [
  (messages) => messages,
  nineCharacterIds,
  oneCallAtATime,
  joinNeighbours,
  withoutReasoning,
];

/** Mistral's templates require ids of nine letters and digits. */
function nineCharacterIds(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  const ids = new Map<string, string>();
  const short = (id: string): string => {
    const known = ids.get(id) ?? `call${String(ids.size).padStart(5, '0')}`;
    ids.set(id, known);
    return known;
  };
  return messages.map((message) => ({
    ...message,
    ...(message.tool_calls && {
      tool_calls: message.tool_calls.map((call) => ({ ...call, id: short(call.id) })),
    }),
    ...(message.tool_call_id !== undefined && { tool_call_id: short(message.tool_call_id) }),
  }));
}

/** Llama's templates allow one call in a message: each gets a message of its own, followed by its result. */
function oneCallAtATime(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  const results = messages.filter(({ role }) => role === 'tool');
  const placed = new Set<TemplateMessage>();
  return messages.flatMap((message) => {
    if (placed.has(message)) return [];
    const calls = message.tool_calls ?? [];
    if (calls.length < 2) return [message];
    return calls.flatMap((call, index) => {
      const result = results.find((each) => each.tool_call_id === call.id && !placed.has(each));
      if (result) placed.add(result);
      const turn = { ...message, content: index === 0 ? message.content : '', tool_calls: [call] };
      return result ? [turn, result] : [turn];
    });
  });
}

/** Some templates reject two messages of one role in a row. */
function joinNeighbours(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  const joined: TemplateMessage[] = [];
  for (const message of messages) {
    const before = joined.at(-1);
    const joins = before?.role === message.role && message.role !== 'tool' && !before.tool_calls;
    if (joins) joined[joined.length - 1] = { ...before, ...message, content: join(before, message, '\n\n') };
    else joined.push(message);
  }
  return joined;
}

/** gpt-oss’s template rejects a message with calls, content and reasoning. */
function withoutReasoning(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  return messages.map(({ reasoning_content: _, thinking: __, ...message }) => message);
}

/** For templates without system messages: the content is put in front of the user’s next message. */
export function systemToUser(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  const joined: TemplateMessage[] = [];
  for (const message of messages) {
    const before = joined.at(-1);
    if (before?.role === 'system' && message.role === 'user')
      joined[joined.length - 1] = { ...message, content: join(before, message, '\n') };
    else joined.push(message);
  }
  return joined.map((message) => (message.role === 'system' ? { ...message, role: 'user' } : message));
}

/** For templates that read lists of parts only. */
export function contentAsParts(messages: readonly TemplateMessage[]): readonly TemplateMessage[] {
  return messages.map((message) => ({ ...message, content: [{ type: 'text', text: textOf(message) }] }));
}

function join(first: TemplateMessage, second: TemplateMessage, between: string): string {
  return textOf(first) + between + textOf(second);
}

function textOf({ content }: TemplateMessage): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const MAX_NUMBER = 2 ** 63 - 1024;

/** The renderer knows no number above 64-bit integers: a larger one (the bound of some schema) becomes the largest. */
function asRenderable(value: unknown): unknown {
  if (typeof value === 'number') return Math.max(-MAX_NUMBER, Math.min(MAX_NUMBER, value));
  if (Array.isArray(value)) return value.map(asRenderable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, asRenderable(member)]));
}
