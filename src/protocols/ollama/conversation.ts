/**
 * Messages as Ollama has them become those of the core. Its calls need no ids, and its tools answer by name or in turn: here
 * each call gets an id, and each answer the one it belongs to.
 */
import { type Static, Type } from 'typebox';
import type { Message, ToolCall } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { CallLedger } from '../call-ledger.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import { imageList, parseImages } from './images.ts';
import { toolName } from './tools.ts';

const toolCall = Type.Object({
  id: Type.Optional(Type.String()),
  function: Type.Object({
    name: toolName,
    arguments: Type.Optional(Type.Object({}, { additionalProperties: true })),
  }),
});

export const messageList = Type.Array(
  Type.Object({
    role: Type.Enum(['system', 'user', 'assistant', 'tool']),
    content: Type.Optional(Type.String()),
    thinking: Type.Optional(
      Type.String({ description: 'With role assistant: what it thought before its text.' }),
    ),
    images: Type.Optional(imageList),
    tool_calls: Type.Optional(
      Type.Array(toolCall, { maxItems: 128, description: 'With role assistant: the calls it asked for.' }),
    ),
    tool_name: Type.Optional(
      Type.String({
        description:
          'With role tool: the tool that answers. Without it and tool_call_id: the first call that has no answer yet.',
      }),
    ),
    tool_call_id: Type.Optional(Type.String()),
  }),
  { description: 'A conversation. Without messages the answer says that the model is there.' },
);

type MessageBody = Static<typeof messageList>[number];

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const ledger = new CallLedger();
  let latest: readonly ToolCall[] = [];
  return messages.map((message, index): Message => {
    const path = `messages[${index}]`;
    refuseMisplaced(message, path);
    const { role, content = '' } = message;
    if (role === 'tool') {
      const toolCallId = ledger.answered(callAnswered(message, { calls: latest, ledger, path }), {
        path,
        idPath: `${path}.tool_call_id`,
        misplaced: {
          path: `${path}.role`,
          message: `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
        },
      });
      return { role, content, toolCallId };
    }
    ledger.forget();
    latest = [];
    switch (role) {
      case 'system':
        return { role, content };
      case 'user': {
        const images = parseImages(message.images ?? [], `${path}.images`);
        return images.length === 0 ? { role, content } : { role, content, images };
      }
      case 'assistant': {
        latest = parseCalls(message, index);
        if (latest.length > 0)
          ledger.made(latest.map(({ id }, call) => ({ id, idPath: `${path}.tool_calls[${call}].id` })));
        const reasoning = given(message.thinking);
        return {
          role,
          content,
          ...(reasoning !== undefined && { reasoning }),
          ...(latest.length > 0 && { toolCalls: latest }),
        };
      }
      default:
        throw role satisfies never;
    }
  });
}

function refuseMisplaced({ role, images, tool_calls }: MessageBody, path: string): void {
  if (role !== 'user' && images !== undefined && images.length > 0)
    throw invalid(`${path}.images`, `${path}.images is only allowed with role "user".`);
  if (role !== 'assistant' && tool_calls !== undefined && tool_calls.length > 0)
    throw invalid(`${path}.tool_calls`, `${path}.tool_calls is only allowed with role "assistant".`);
}

function parseCalls({ tool_calls = [] }: MessageBody, index: number): readonly ToolCall[] {
  return tool_calls.map(({ id, function: { name, arguments: values = {} } }, call) => {
    refuseDeepNesting(values, `messages[${index}].tool_calls[${call}].function.arguments`);
    return { id: given(id) ?? `call_${index}_${call}`, name, arguments: JSON.stringify(values) };
  });
}

/** By id, else by the name of its tool; undefined: the next in turn. */
function callAnswered(
  { tool_call_id, tool_name }: MessageBody,
  before: { readonly calls: readonly ToolCall[]; readonly ledger: CallLedger; readonly path: string },
): string | undefined {
  const { calls, ledger, path } = before;
  const id = given(tool_call_id);
  const name = given(tool_name);
  if (id !== undefined || name === undefined || calls.length === 0) return id;
  const named = calls.filter((call) => call.name === name);
  const unanswered = new Set(ledger.unanswered);
  const open = named.find((call) => unanswered.has(call.id));
  if (open !== undefined) return open.id;
  const field = `${path}.tool_name`;
  const why =
    named.length > 0
      ? 'all calls of that tool have their answer already'
      : `the calls before it are of ${[...new Set(calls.map((call) => call.name))].join(', ')}`;
  throw invalid(field, `${field} is ${showValue(name)}, but ${why}.`);
}

/** Its own clients send empty texts for what is absent. */
function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
