/**
 * The input items of a response become messages. What an assistant says, thinks and calls between two other items is one
 * turn, so one message. As OpenAI insists: an output belongs to a call of the turn before it, and every call has its output
 * before the conversation goes on.
 */
import type { Message, ToolCall } from '../../../core/generation.ts';
import { CallLedger, listed } from '../../call-ledger.ts';
import { invalid } from '../../invalid.ts';
import { lenientReader } from '../../lenient-body.ts';
import { parseCallArguments } from '../call-arguments.ts';
import { parseContent } from './content.ts';
import { FunctionCallItem, FunctionCallOutputItem, MessageItem, ReasoningItem } from './item-schema.ts';
import { itemReference, unknownItem } from './refusals.ts';

const readMessage = lenientReader(MessageItem);
const readCall = lenientReader(FunctionCallItem);
const readOutput = lenientReader(FunctionCallOutputItem);
const readReasoning = lenientReader(ReasoningItem);

/** What the assistant has said, thought and called since the last item of someone else. */
interface Turn {
  text: string | undefined;
  reasoning: string;
  readonly calls: (ToolCall & { readonly idPath: string })[];
}

interface Reading {
  readonly messages: Message[];
  readonly ledger: CallLedger;
  turn: Turn;
}

export function parseItems(items: readonly object[]): readonly Message[] {
  const reading: Reading = { messages: [], ledger: new CallLedger(), turn: newTurn() };
  for (const [index, item] of items.entries()) addItem(reading, item, `input[${index}]`);
  endTurn(reading);
  refuseUnanswered(reading.ledger);
  if (reading.messages.length > 0) return reading.messages;
  throw invalid('input', 'input has no message. Send at least one.');
}

function addItem(reading: Reading, item: object, path: string): void {
  const type = typeOf(item, path);
  switch (type) {
    case 'message':
      addMessage(reading, readMessage(item, path), path);
      break;
    case 'function_call':
      reading.turn.calls.push(parseCall(readCall(item, path), path));
      break;
    case 'function_call_output':
      addOutput(reading, readOutput(item, path), path);
      break;
    case 'reasoning':
      addReasoning(reading, readReasoning(item, path));
      break;
    case 'item_reference':
      throw itemReference(path);
    default:
      throw unknownItem(type, `${path}.type`);
  }
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

function addMessage(reading: Reading, { role, content }: MessageItem, path: string): void {
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
  reading.ledger.forget();
  reading.messages.push(
    role === 'user'
      ? { role, content: parsed.text, ...(parsed.images.length > 0 && { images: parsed.images }) }
      : { role: 'system', content: parsed.text },
  );
}

function addOutput(reading: Reading, { call_id, output }: FunctionCallOutputItem, path: string): void {
  endTurn(reading);
  const { text } = parseContent(output, { path: `${path}.output`, images: 'refused' });
  const toolCallId = reading.ledger.answered(call_id, {
    path,
    idPath: `${path}.call_id`,
    misplaced: {
      path: `${path}.call_id`,
      message: `${path}.call_id is ${JSON.stringify(call_id)}, but no function_call stands before it. Send the call too, right before its output.`,
    },
  });
  reading.messages.push({ role: 'tool', content: text, toolCallId });
}

function addReasoning(reading: Reading, { content = [], summary = [] }: ReasoningItem): void {
  const thoughts = content.length > 0 ? content : summary;
  const text = thoughts.map((thought) => thought.text).join('\n');
  if (text === '') return;
  if (reading.turn.text !== undefined && reading.turn.calls.length === 0) endTurn(reading);
  const { reasoning } = reading.turn;
  reading.turn.reasoning = reasoning === '' ? text : `${reasoning}\n${text}`;
}

function parseCall(
  { call_id: id, name, arguments: text }: FunctionCallItem,
  path: string,
): Turn['calls'][number] {
  return { id, name, arguments: parseCallArguments(text, `${path}.arguments`), idPath: `${path}.call_id` };
}

/** Thoughts that nothing was said or called after are dropped. */
function endTurn(reading: Reading): void {
  const { messages, ledger, turn } = reading;
  const { text, reasoning, calls } = turn;
  reading.turn = newTurn();
  if (text === undefined && calls.length === 0) return;
  refuseUnanswered(ledger);
  ledger.made(calls);
  messages.push({
    role: 'assistant',
    content: text ?? '',
    ...(reasoning !== '' && { reasoning }),
    ...(calls.length > 0 && { toolCalls: calls.map(({ idPath: _, ...call }) => call) }),
  });
}

function refuseUnanswered({ unanswered }: CallLedger): void {
  if (unanswered.length === 0) return;
  const ids = listed(unanswered);
  throw invalid(
    'input',
    `input has calls without an output before the conversation goes on: ${ids}. Each needs a function_call_output with its call_id.`,
  );
}

function newTurn(): Turn {
  return { text: undefined, reasoning: '', calls: [] };
}
