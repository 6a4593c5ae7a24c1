/**
 * The input items of a response become messages. What an assistant says, thinks and calls between two other items is one
 * turn, so one message. As OpenAI insists: an output belongs to a call of the turn before it, and every call has its output
 * before the conversation goes on. What tools of the vendor's servers left is dropped.
 */

import type { Image, Message, ToolCall } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { nullableBodyReader } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import { listIds, ToolCallMatcher } from '../../tools.ts';
import { parseCallArguments, parseDataImage } from '../content.ts';
import { itemReference, unknownItem, unsupported } from './refusals.ts';
import {
  CallOutputItem,
  CustomToolCallItem,
  FunctionCallItem,
  ImagePart,
  MessageItem,
  ReasoningItem,
  RefusalPart,
  ShellCallItem,
  ShellOutputItem,
  TextPart,
} from './schema.ts';
import { isHostedItem, isShellOutput, modelNameOf, type OfferedTools, shellToolOf } from './tools.ts';

const readMessage = nullableBodyReader(MessageItem);
const readCall = nullableBodyReader(FunctionCallItem);
const readCustomCall = nullableBodyReader(CustomToolCallItem);
const readOutput = nullableBodyReader(CallOutputItem);
const readShellCall = nullableBodyReader(ShellCallItem);
const readShellOutput = nullableBodyReader(ShellOutputItem);
const readReasoning = nullableBodyReader(ReasoningItem);

/** What the assistant has said, thought and called since the last item of someone else. */
interface Turn {
  text: string | undefined;
  reasoning: string;
  readonly calls: (ToolCall & { readonly idPath: string })[];
}

interface ConversationState {
  readonly messages: Message[];
  readonly ledger: ToolCallMatcher;
  readonly tools: OfferedTools;
  turn: Turn;
  /** Of outputs of tools: a message of a tool is a text, so they are shown with what the user says next. */
  images: readonly Image[];
}

export function parseItems(items: readonly object[], tools: OfferedTools): readonly Message[] {
  const reading: ConversationState = {
    messages: [],
    ledger: new ToolCallMatcher(),
    tools,
    turn: newTurn(),
    images: [],
  };
  for (const [index, item] of items.entries()) addItem(reading, item, `input[${index}]`);
  endTurn(reading);
  refuseUnanswered(reading.ledger);
  showImages(reading);
  if (reading.messages.length > 0) return reading.messages;
  throw invalid('input', 'input has no message. Send at least one.');
}

function addItem(reading: ConversationState, item: object, path: string): void {
  const type = typeOf(item, path);
  switch (type) {
    case 'message':
      addMessage(reading, readMessage(item, path), path);
      break;
    case 'function_call':
      addCall(reading, functionCall(readCall(item, path), path, reading.tools), path);
      break;
    case 'custom_tool_call':
      addCall(reading, customCall(readCustomCall(item, path), reading.tools), path);
      break;
    case 'function_call_output':
    case 'custom_tool_call_output':
      addOutput(reading, readOutput(item, path), path);
      break;
    case 'reasoning':
      addReasoning(reading, readReasoning(item, path));
      break;
    // They are offered, and not told.
    case 'additional_tools':
      break;
    case 'item_reference':
      throw itemReference(path);
    default:
      addItemOfOtherTool(reading, item, { type, path });
  }
}

function addItemOfOtherTool(
  reading: ConversationState,
  item: object,
  { type, path }: { readonly type: unknown; readonly path: string },
): void {
  const tool = shellToolOf(type);
  if (tool !== undefined) {
    const { call_id, id = '', action, operation } = readShellCall(item, path);
    const call = { id: call_id ?? id, name: tool, arguments: JSON.stringify(action ?? operation ?? {}) };
    addCall(reading, call, path);
  } else if (isShellOutput(type)) {
    const { call_id, id = '', output = '' } = readShellOutput(item, path);
    const text = typeof output === 'string' ? output : JSON.stringify(output);
    addOutput(reading, { call_id: call_id ?? id, output: text }, path);
  } else if (!isHostedItem(type)) throw unknownItem(type, `${path}.type`);
}

/** What tools of the vendor's servers left in the input, each kind once, as X-Dropped-Parameters names it. */
export function hostedItemsIn(input: string | readonly object[]): readonly string[] {
  if (typeof input === 'string') return [];
  const types = input.map((item) => (item as { readonly type?: unknown }).type).filter(isHostedItem);
  return [...new Set(types)].map((type) => `input.${type}`);
}

/** Messages and references may come without their type. */
function typeOf(item: object, path: string): unknown {
  const { type, role, id } = item as {
    readonly type?: unknown;
    readonly role?: unknown;
    readonly id?: unknown;
  };
  if (type !== undefined && type !== null) return type;
  if (role !== undefined) return 'message';
  if (id !== undefined) return 'item_reference';
  throw invalid(`${path}.type`, `${path}.type is missing. A message needs a role, any other item a type.`);
}

function addMessage(reading: ConversationState, { role, content }: MessageItem, path: string): void {
  const { turn } = reading;
  const images = role === 'user' ? 'allowed' : 'refused';
  const parsed = parseContent(content, { path: `${path}.content`, images });
  if (role === 'assistant') {
    // A call must have its output before the next turn, so what is said after it belongs to the same.
    if (turn.text !== undefined && turn.calls.length === 0) endTurn(reading);
    reading.turn.text = (reading.turn.text ?? '') + parsed.text;
    return;
  }
  endTurn(reading);
  refuseUnanswered(reading.ledger);
  reading.ledger.reset();
  if (role === 'user') {
    const images = [...reading.images, ...parsed.images];
    reading.images = [];
    reading.messages.push({ role, content: parsed.text, ...(images.length > 0 && { images }) });
    return;
  }
  showImages(reading);
  reading.messages.push({ role: 'system', content: parsed.text });
}

function showImages(reading: ConversationState): void {
  if (reading.images.length === 0) return;
  reading.messages.push({ role: 'user', content: '', images: reading.images });
  reading.images = [];
}

function addOutput(
  reading: ConversationState,
  { call_id, output }: Pick<CallOutputItem, 'call_id' | 'output'>,
  path: string,
): void {
  endTurn(reading);
  const { text, images } = parseContent(output, { path: `${path}.output`, images: 'allowed' });
  reading.images = [...reading.images, ...images.map((image) => ({ ...image, at: 0 }))];
  const toolCallId = reading.ledger.match(call_id, {
    path,
    idPath: `${path}.call_id`,
    misplaced: {
      path: `${path}.call_id`,
      message: `${path}.call_id is ${JSON.stringify(call_id)}, but no function_call stands before it. Send the call too, right before its output.`,
    },
  });
  reading.messages.push({ role: 'tool', content: text, toolCallId });
}

function addReasoning(reading: ConversationState, { content = [], summary = [] }: ReasoningItem): void {
  const thoughts = content.length > 0 ? content : summary;
  const text = thoughts.map((thought) => thought.text).join('\n');
  if (text === '') return;
  if (reading.turn.text !== undefined && reading.turn.calls.length === 0) endTurn(reading);
  const { reasoning } = reading.turn;
  reading.turn.reasoning = reasoning === '' ? text : `${reasoning}\n${text}`;
}

function addCall({ turn }: ConversationState, call: ToolCall, path: string): void {
  turn.calls.push({ ...call, idPath: `${path}.call_id` });
}

function functionCall(item: FunctionCallItem, path: string, tools: OfferedTools): ToolCall {
  const values = parseCallArguments(item.arguments, `${path}.arguments`);
  return { id: item.call_id, name: modelNameOf(tools, item), arguments: values };
}

function customCall(item: CustomToolCallItem, tools: OfferedTools): ToolCall {
  const { call_id: id, input } = item;
  return { id, name: modelNameOf(tools, item), arguments: JSON.stringify({ input }) };
}

/** Thoughts that nothing was said or called after are dropped. */
function endTurn(reading: ConversationState): void {
  const { messages, ledger, turn } = reading;
  const { text, reasoning, calls } = turn;
  reading.turn = newTurn();
  if (text === undefined && calls.length === 0) return;
  refuseUnanswered(ledger);
  showImages(reading);
  ledger.begin(calls);
  messages.push({
    role: 'assistant',
    content: text ?? '',
    ...(reasoning !== '' && { reasoning }),
    ...(calls.length > 0 && { toolCalls: calls.map(({ idPath: _, ...call }) => call) }),
  });
}

function refuseUnanswered({ unanswered }: ToolCallMatcher): void {
  if (unanswered.length === 0) return;
  const ids = listIds(unanswered);
  throw invalid(
    'input',
    `input has calls without an output before the conversation goes on: ${ids}. Each needs a function_call_output with its call_id.`,
  );
}

function newTurn(): Turn {
  return { text: undefined, reasoning: '', calls: [] };
}

/** The content of a message or of a tool's output, a text or a list of parts, becomes one text and its images. */

interface Content {
  readonly text: string;
  readonly images: readonly Image[];
}

interface ContentPlace {
  readonly path: string;
  readonly images: 'allowed' | 'refused';
}

const readText = nullableBodyReader(TextPart);
const readRefusal = nullableBodyReader(RefusalPart);
const readImage = nullableBodyReader(ImagePart);

/** Texts that follow each other have a line each, as servers with plain-text templates join them. */
function parseContent(content: string | readonly object[], { path, images: allowed }: ContentPlace): Content {
  if (typeof content === 'string') return { text: content, images: [] };
  const images: Image[] = [];
  let text = '';
  let followsText = false;
  for (const [index, part] of content.entries()) {
    const partPath = `${path}[${index}]`;
    const found = parsePart(part, partPath);
    const isText = typeof found === 'string';
    if (isText) text += (followsText ? '\n' : '') + found;
    else if (allowed === 'allowed') images.push({ ...found, at: text.length });
    else
      throw invalid(
        partPath,
        `${partPath} is an image, but only a user’s message and a tool’s output may have images.`,
      );
    followsText = isText;
  }
  return { text, images };
}

function parsePart(part: object, path: string): string | Omit<Image, 'at'> {
  const { type } = part as { readonly type?: unknown };
  switch (type) {
    case 'input_text':
    case 'output_text':
      return readText(part, path).text;
    case 'refusal':
      return readRefusal(part, path).refusal;
    case 'input_image':
      return parseImage(readImage(part, path), path);
    case 'input_file':
      throw unsupported(
        `${path}.type`,
        `${path}.type is "input_file", but files are not read here. Send their text as input_text.`,
      );
    default:
      throw invalid(
        `${path}.type`,
        `${path}.type is ${showValue(type)}, but must be one of "input_text", "output_text", "refusal", "input_image".`,
      );
  }
}

/** An image part: its picture comes along as a data: URL. */

interface ImageFields {
  readonly image_url?: string;
  readonly file_id?: string;
}

function parseImage({ image_url: url, file_id }: ImageFields, path: string): Omit<Image, 'at'> {
  if (file_id === undefined) return parseDataImage(url, `${path}.image_url`);
  throw unsupported(
    `${path}.file_id`,
    `${path}.file_id is not supported: no files are kept here. Send the image in image_url, as data:image/png;base64,…`,
  );
}
