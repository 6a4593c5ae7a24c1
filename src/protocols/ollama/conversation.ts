/**
 * Messages, images and tools become the core's. Ollama's calls need no ids, and its results of tools name a tool or just follow in
 * order: here each call gets an id, and each result the id of its call.
 */
import type { Image, Message, Tool, ToolCall, ToolUse } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { checkParameters, requireUniqueName, ToolCallMatcher } from '../tools.ts';
import type { MessageBody, ToolList } from './schema.ts';

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const matcher = new ToolCallMatcher();
  let latest: readonly ToolCall[] = [];
  return messages.map((message, index): Message => {
    const path = `messages[${index}]`;
    rejectMisplaced(message, path);
    const { role, content = '' } = message;
    if (role === 'tool') {
      const toolCallId = matcher.matchMessage(
        answeredCallId(message, { calls: latest, matcher, path }),
        path,
      );
      const images = parseImages(message.images ?? [], `${path}.images`);
      return { role, content, toolCallId, ...(images.length > 0 && { images }) };
    }
    matcher.reset();
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
          matcher.begin(latest.map(({ id }, call) => ({ id, idPath: `${path}.tool_calls[${call}].id` })));
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

function rejectMisplaced({ role, images, tool_calls }: MessageBody, path: string): void {
  if (role !== 'user' && role !== 'tool' && images !== undefined && images.length > 0)
    throw invalid(`${path}.images`, `${path}.images is only allowed with the roles "user" and "tool".`);
  if (role !== 'assistant' && tool_calls !== undefined && tool_calls.length > 0)
    throw invalid(`${path}.tool_calls`, `${path}.tool_calls is only allowed with role "assistant".`);
}

function parseCalls({ tool_calls = [] }: MessageBody, index: number): readonly ToolCall[] {
  return tool_calls.map(({ id, function: { name, arguments: values = {} } }, call) => {
    refuseDeepNesting(values, `messages[${index}].tool_calls[${call}].function.arguments`);
    return { id: nonEmpty(id) ?? `call_${index}_${call}`, name, arguments: JSON.stringify(values) };
  });
}

/** By its id, else by the name of its tool; undefined: the first call without a result. */
function answeredCallId(
  { tool_call_id, tool_name }: MessageBody,
  before: { readonly calls: readonly ToolCall[]; readonly matcher: ToolCallMatcher; readonly path: string },
): string | undefined {
  const { calls, matcher, path } = before;
  const id = nonEmpty(tool_call_id);
  const name = nonEmpty(tool_name);
  if (id !== undefined || name === undefined || calls.length === 0) return id;
  const named = calls.filter((call) => call.name === name);
  const unanswered = new Set(matcher.unanswered);
  const open = named.find((call) => unanswered.has(call.id));
  if (open !== undefined) return open.id;
  const field = `${path}.tool_name`;
  const why =
    named.length > 0
      ? 'all calls of that tool have their answer already'
      : `the calls before it are of ${[...new Set(calls.map((call) => call.name))].join(', ')}`;
  throw invalid(field, `${field} is ${showValue(name)}, but ${why}.`);
}

/** Ollama's own clients send empty texts for absent fields. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** In base64: the first twelve bytes of a file, which show its kind. */
const SIGNATURE_CHARACTERS = 16;

const IMAGE_KINDS: readonly { readonly mediaType: string; is(bytes: string): boolean }[] = [
  { mediaType: 'image/png', is: (bytes) => bytes.startsWith('\x89PNG\r\n\x1a\n') },
  { mediaType: 'image/jpeg', is: (bytes) => bytes.startsWith('\xff\xd8\xff') },
  { mediaType: 'image/gif', is: (bytes) => bytes.startsWith('GIF87a') || bytes.startsWith('GIF89a') },
  { mediaType: 'image/webp', is: (bytes) => bytes.startsWith('RIFF') && bytes.startsWith('WEBP', 8) },
];

/** They stand before the text. `path`: of their list. */
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
  const kind = IMAGE_KINDS.find(({ is }) => is(firstBytes));
  if (kind !== undefined) return kind.mediaType;
  throw invalid(place, `${place} is not a known kind of image. It must be a PNG, JPEG, GIF or WebP file.`);
}

/** The model always decides whether to call: this API has no tool_choice. */
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
