/** Pictures of a message: base64 without a `data:` in front. What they are is told by their first bytes. */

import { type Static, Type } from 'typebox';
import type { Image, Message, Tool, ToolCall, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { checkParameters, requireUniqueName, ToolCallMatcher } from '../tools.ts';

export const imageList = Type.Array(Type.String({ minLength: 1 }), {
  maxItems: 64,
  description: 'Pictures (PNG, JPEG, GIF or WebP) in base64. Addresses are refused: nothing is fetched.',
});

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Of base64: the twelve bytes that tell the kind. */
const SIGNATURE_CHARACTERS = 16;

const KINDS: readonly { readonly mediaType: string; is(bytes: string): boolean }[] = [
  { mediaType: 'image/png', is: (bytes) => bytes.startsWith('\x89PNG\r\n\x1a\n') },
  { mediaType: 'image/jpeg', is: (bytes) => bytes.startsWith('\xff\xd8\xff') },
  { mediaType: 'image/gif', is: (bytes) => bytes.startsWith('GIF87a') || bytes.startsWith('GIF89a') },
  { mediaType: 'image/webp', is: (bytes) => bytes.startsWith('RIFF') && bytes.startsWith('WEBP', 8) },
];

/** All stand in front of the text. */
export function parseImages(images: readonly string[], path: string): readonly Image[] {
  return images.map((base64, index) => {
    const place = `${path}[${index}]`;
    if (!BASE64.test(base64) || base64.length % 4 !== 0)
      throw invalid(
        place,
        `${place} is ${showValue(base64)}, but must be base64 without line breaks and without "data:" in front. Nothing is fetched from addresses.`,
      );
    return { mediaType: mediaTypeOf(base64, place), base64, at: 0 };
  });
}

function mediaTypeOf(base64: string, place: string): string {
  const firstBytes = atob(base64.slice(0, SIGNATURE_CHARACTERS));
  const kind = KINDS.find(({ is }) => is(firstBytes));
  if (kind !== undefined) return kind.mediaType;
  throw invalid(
    place,
    `${place} is no picture that is known here. It must be a PNG, JPEG, GIF or WebP file.`,
  );
}

/** `tools`, in the form that OpenAI gave them, become the core's ToolUse. The model always decides: there is no tool_choice. */

const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,128}$',
  title: 'a name of 1 to 128 letters, digits, underscores, dots or hyphens',
});

export const toolList = Type.Array(
  Type.Object({
    type: Type.Optional(Type.Literal('function')),
    function: Type.Object({
      name: toolName,
      description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
      parameters: Type.Optional(
        Type.Object(
          {},
          { additionalProperties: true, title: 'an object (the JSON Schema of the arguments)' },
        ),
      ),
    }),
  }),
  { maxItems: 128, description: 'What the model may ask to be called. Each has a name of its own.' },
);

type ToolList = Static<typeof toolList>;

export function parseTools(list: ToolList = []): ToolUse | undefined {
  if (list.length === 0) return undefined;
  const names = new Set<string>();
  const tools = list.map(({ function: { name, description, parameters } }, index): Tool => {
    const path = `tools[${index}].function`;
    requireUniqueName(name, path, names);
    if (parameters !== undefined) checkParameters(parameters, `${path}.parameters`);
    return {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
    };
  });
  return { tools, choice: 'auto' };
}

/**
 * Messages as Ollama has them become those of the core. Its calls need no ids, and its tools answer by name or in turn: here
 * each call gets an id, and each answer the one it belongs to.
 */

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
  const ledger = new ToolCallMatcher();
  let latest: readonly ToolCall[] = [];
  return messages.map((message, index): Message => {
    const path = `messages[${index}]`;
    refuseMisplaced(message, path);
    const { role, content = '' } = message;
    if (role === 'tool') {
      const toolCallId = ledger.match(answeredCallId(message, { calls: latest, ledger, path }), {
        path,
        idPath: `${path}.tool_call_id`,
        misplaced: {
          path: `${path}.role`,
          message: `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
        },
      });
      return { role, content, toolCallId };
    }
    ledger.reset();
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
          ledger.begin(latest.map(({ id }, call) => ({ id, idPath: `${path}.tool_calls[${call}].id` })));
        const reasoning = nonEmpty(message.thinking);
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
    return { id: nonEmpty(id) ?? `call_${index}_${call}`, name, arguments: JSON.stringify(values) };
  });
}

/** By id, else by the name of its tool; undefined: the next in turn. */
function answeredCallId(
  { tool_call_id, tool_name }: MessageBody,
  before: { readonly calls: readonly ToolCall[]; readonly ledger: ToolCallMatcher; readonly path: string },
): string | undefined {
  const { calls, ledger, path } = before;
  const id = nonEmpty(tool_call_id);
  const name = nonEmpty(tool_name);
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
function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
