/**
 * The messages of a chat become those of the core, one for one. As OpenAI insists: a tool's answer belongs to a call of the
 * assistant's message before it and its like, and every call is answered before the conversation goes on.
 */

import type { Image, Message, ToolCall } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../field-errors.ts';
import { listIds, ToolCallMatcher } from '../../tools.ts';
import { parseCallArguments, parseDataImage } from '../content.ts';
import { unsupported } from '../errors.ts';
import type { MessageBody } from './schema.ts';

export function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const ledger = new ToolCallMatcher();
  const parsed = messages.map((message, index) => {
    const path = `messages[${index}]`;
    if (message.role !== 'tool') refuseUnanswered(ledger, `${path}.role`, `is "${message.role}", but`);
    return parseMessage(message, path, ledger);
  });
  refuseUnanswered(ledger, 'messages', 'ends although');
  return parsed;
}

function refuseUnanswered(ledger: ToolCallMatcher, path: string, what: string): void {
  const { unanswered } = ledger;
  if (unanswered.length === 0) return;
  const ids = listIds(unanswered);
  throw invalid(
    path,
    `${path} ${what} calls of the assistant’s message have no answer yet: ${ids}. Each needs a message with role "tool" and its tool_call_id.`,
  );
}

function parseMessage(message: MessageBody, path: string, ledger: ToolCallMatcher): Message {
  const { role } = message;
  if (role !== 'assistant' && message.tool_calls !== undefined && message.tool_calls.length > 0)
    throw invalid(`${path}.tool_calls`, `${path}.tool_calls is only allowed with role "assistant".`);
  switch (role) {
    case 'developer':
    case 'system':
      ledger.reset();
      return {
        role: 'system',
        content: parseContent(contentOf(message, path), `${path}.content`, ['text']).text,
      };
    case 'user': {
      ledger.reset();
      const content = contentOf(message, path);
      const { text, images } = parseContent(content, `${path}.content`, ['text', 'image_url']);
      return { role, content: text, ...(images.length > 0 && { images }) };
    }
    case 'assistant':
      return parseAssistant(message, path, ledger);
    case 'tool': {
      const toolCallId = ledger.match(toolCallIdOf(message, path), {
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
      throw unsupported(
        `${path}.role`,
        'is "function", which is not supported',
        'Use role "tool" with a tool_call_id instead.',
      );
    default:
      throw role satisfies never;
  }
}

function parseAssistant(message: MessageBody, path: string, ledger: ToolCallMatcher): Message {
  if (message.function_call !== undefined)
    throw unsupported(`${path}.function_call`, 'is not supported', 'Use tool_calls instead.');
  if (message.audio !== undefined)
    throw unsupported(`${path}.audio`, 'is not supported', 'Send what was said as content.');
  const content = message.content ?? message.refusal ?? '';
  const { text } = parseContent(content, `${path}.content`, ['text', 'refusal']);
  const reasoning = message.reasoning_content ?? message.reasoning ?? '';
  const calls = message.tool_calls ?? [];
  const callsPath = `${path}.tool_calls`;
  ledger.begin(calls.map(({ id }, index) => ({ id, idPath: `${callsPath}[${index}].id` })));
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

/** The content of a message: a text, or parts of which texts become one and pictures keep their place. */

type PartType = 'text' | 'refusal' | 'image_url';
type Part = Exclude<NonNullable<MessageBody['content']>, string>[number] & Readonly<Record<string, unknown>>;

interface Content {
  readonly text: string;
  readonly images: readonly Image[];
}

/** What OpenAI takes and nothing here does. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  input_audio: 'Send what was said as text.',
  file: 'Send its text as a text part, or its pages as pictures.',
};

/** Texts that follow each other have a line each, as servers with plain-text templates join them. */
function parseContent(
  content: NonNullable<MessageBody['content']>,
  path: string,
  allowed: readonly PartType[],
): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  const images: Image[] = [];
  let text = '';
  let followsText = false;
  for (const [index, part] of (content as readonly Part[]).entries()) {
    const partPath = `${path}[${index}]`;
    const type = partType(part, partPath, allowed);
    if (type === 'image_url') {
      images.push({ ...imageOf(part, `${partPath}.image_url`), at: text.length });
    } else {
      text += (followsText ? '\n' : '') + textOf(part, type, partPath);
    }
    followsText = type !== 'image_url';
  }
  return { text, images };
}

function partType({ type }: Part, path: string, allowed: readonly PartType[]): PartType {
  const known = allowed.find((candidate) => candidate === type);
  if (known !== undefined) return known;
  const advice = Object.hasOwn(UNSUPPORTED, type) ? UNSUPPORTED[type] : undefined;
  if (advice !== undefined)
    throw unsupported(`${path}.type`, `is ${showValue(type)}, which is not supported`, advice);
  const options = allowed.map((option) => JSON.stringify(option)).join(', ');
  throw invalid(`${path}.type`, `${path}.type is ${showValue(type)}, but must be one of ${options} there.`);
}

/** `{ url }`, or the URL itself as some clients write it. */
function imageOf({ image_url: given }: Part, path: string): Omit<Image, 'at'> {
  if (typeof given !== 'object' || given === null) return parseDataImage(given, path);
  return parseDataImage(Reflect.get(given, 'url'), `${path}.url`);
}

function textOf(part: Part, field: 'text' | 'refusal', path: string): string {
  const value = part[field];
  if (typeof value === 'string') return value;
  throw invalid(`${path}.${field}`, `${path}.${field} is ${showValue(value)}, but must be a string.`);
}

/** A call that an assistant's message made earlier. */

type CallBody = NonNullable<MessageBody['tool_calls']>[number];

function parseCall({ id, function: called }: CallBody, path: string): ToolCall {
  const { name, arguments: text } = called;
  return { id, name, arguments: parseCallArguments(text, `${path}.function.arguments`) };
}
