/**
 * Messages become the core's. Neighbours with the same role are one turn. Invariant: the results of tools come first in the turn
 * after their calls, and each call has one result.
 */
import type { Message, ToolCall } from '../../core/generation.ts';
import { normalizeTurns } from '../../core/normalize-turns.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { listIds, ToolCallMatcher } from '../tools.ts';
import { asBlocks, BETWEEN_BLOCKS, TextBuilder } from './content.ts';
import type { MessageBody, ServerBlock, SystemContent, ToolResultBlock } from './schema.ts';
import { isServerBlock } from './tools.ts';

const BETWEEN_MESSAGES = '\n\n';

/** A line about the client for the vendor's own service. It differs with every request, which would defeat the prompt cache. */
const BILLING_HEADER = 'x-anthropic-billing-header:';

export function parseConversation(
  system: SystemContent | undefined,
  messages: readonly MessageBody[],
): readonly Message[] {
  const calls = new ToolCallMatcher();
  const prompt = system === undefined ? [] : systemTurn(placedBlocks(system, 'system'));
  return normalizeTurns([...prompt, ...turnsOf(messages).flatMap((turn) => parseTurn(turn, calls))]);
}

type Role = MessageBody['role'];

interface PlacedBlock<Block> {
  readonly block: Block;
  readonly path: string;
  /** What separates it from the text before it. */
  readonly between: string;
}

type BlockOf<Name extends Role> = Exclude<
  Extract<Extract<MessageBody, { role: Name }>['content'], readonly unknown[]>[number],
  ServerBlock
>;

/** Consecutive messages with one role; `path` is that of the first one's content. */
type Turn = {
  readonly [Name in Role]: {
    readonly role: Name;
    readonly path: string;
    readonly blocks: PlacedBlock<BlockOf<Name>>[];
  };
}[Role];

function turnsOf(messages: readonly MessageBody[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const path = `messages[${index}].content`;
    const blocks = placedBlocks<BlockOf<Role>>(content, path);
    const before = turns.at(-1);
    // The types do not know that blocks of one role go with turns of that role.
    if (before?.role === role) for (const block of blocks) (before.blocks as typeof blocks).push(block);
    else turns.push({ role, path, blocks } as Turn);
  }
  return turns;
}

/** Of one message, without blocks of server tools. */
function placedBlocks<Block extends { readonly type: string }>(
  content: string | readonly (Block | ServerBlock)[],
  path: string,
): PlacedBlock<Block>[] {
  const placed: PlacedBlock<Block>[] = [];
  for (const [index, block] of asBlocks(content).entries()) {
    if (isServerBlock(block)) continue;
    placed.push({
      block: block as Block,
      path: typeof content === 'string' ? path : `${path}[${index}]`,
      between: placed.length === 0 ? BETWEEN_MESSAGES : BETWEEN_BLOCKS,
    });
  }
  return placed;
}

function parseTurn(turn: Turn, calls: ToolCallMatcher): readonly Message[] {
  switch (turn.role) {
    case 'user':
      return userTurn(turn, calls);
    case 'assistant':
      return [assistantTurn(turn.blocks, calls)];
    case 'system':
      requireResults(turn, calls);
      return systemTurn(turn.blocks);
    default:
      throw turn satisfies never;
  }
}

function systemTurn(blocks: readonly PlacedBlock<BlockOf<'system'>>[]): readonly Message[] {
  const text = new TextBuilder();
  for (const { block, between } of blocks) {
    // That tools come and go shows in the tools themselves.
    if (block.type === 'text' && !block.text.startsWith(BILLING_HEADER)) text.append(block.text, between);
  }
  return text.isEmpty ? [] : [{ role: 'system', content: text.text }];
}

/** First the results of tools, each a message of its own, then the rest. */
function userTurn(turn: Extract<Turn, { role: 'user' }>, calls: ToolCallMatcher): readonly Message[] {
  const results: Message[] = [];
  const text = new TextBuilder();
  let other: string | undefined;
  for (const { block, path, between } of turn.blocks) {
    if (block.type !== 'tool_result') {
      other ??= path;
      text.appendBlock(block, between);
    } else if (other === undefined) results.push(toolResult(block, path, calls));
    else throw invalid(path, `${path} is a tool_result behind other content (${other}): results come first.`);
  }
  requireResults(turn, calls);
  calls.reset();
  if (!text.isEmpty) {
    const { text: content, images } = text;
    return [...results, { role: 'user', content, ...(images.length > 0 && { images }) }];
  }
  if (results.length > 0) return results;
  throw invalid(turn.path, `${turn.path} is empty, but a message with role "user" must say something.`);
}

function toolResult(block: ToolResultBlock, path: string, calls: ToolCallMatcher): Message {
  const toolCallId = calls.match(block.tool_use_id, {
    path,
    idPath: `${path}.tool_use_id`,
    misplaced: {
      path,
      message: `${path} is a tool_result, but no assistant’s message with a tool_use stands before its own.`,
    },
  });
  const result = new TextBuilder();
  for (const part of asBlocks(block.content ?? [])) {
    if (isServerBlock(part)) continue;
    if (part.type === 'tool_reference') result.append(`${part.tool_name} can be called now.`, BETWEEN_BLOCKS);
    else result.appendBlock(part, BETWEEN_BLOCKS);
  }
  const { text, images } = result;
  return {
    role: 'tool',
    content: block.is_error ? asError(text) : text,
    toolCallId,
    ...(images.length > 0 && { images }),
  };
}

/** Chat templates know no failed call, so the text says it. */
function asError(text: string): string {
  if (/^\W*(\w+_)?error/i.test(text)) return text;
  return text === '' ? 'Error' : `Error: ${text}`;
}

function requireResults({ path }: Turn, { unanswered }: ToolCallMatcher): void {
  if (unanswered.length === 0) return;
  throw invalid(
    path,
    `${path} must begin with a tool_result for each tool_use before it; missing: ${listIds(unanswered)}.`,
  );
}

function assistantTurn(
  blocks: readonly PlacedBlock<BlockOf<'assistant'>>[],
  calls: ToolCallMatcher,
): Message {
  const text = new TextBuilder();
  const reasoning = new TextBuilder();
  const made: { readonly call: ToolCall; readonly idPath: string }[] = [];
  for (const { block, path, between } of blocks) {
    switch (block.type) {
      case 'text':
        text.append(block.text, between);
        break;
      case 'thinking':
        reasoning.append(block.thinking, between);
        break;
      case 'redacted_thinking':
        // Only the vendor can read it.
        break;
      case 'tool_use': {
        refuseDeepNesting(block.input, `${path}.input`);
        const call = { id: block.id, name: block.name, arguments: JSON.stringify(block.input) };
        made.push({ call, idPath: `${path}.id` });
        break;
      }
      default:
        block satisfies never;
    }
  }
  calls.begin(made.map(({ call: { id }, idPath }) => ({ id, idPath })));
  return {
    role: 'assistant',
    content: text.text,
    ...(!reasoning.isEmpty && { reasoning: reasoning.text }),
    ...(made.length > 0 && { toolCalls: made.map(({ call }) => call) }),
  };
}
