/**
 * Messages become the core's. Invariant: the results of tools come first in the turn after the calls they answer, and each call
 * has its one.
 */

import { Type } from 'typebox';
import type { Message, ToolCall } from '../../core/generation.ts';
import { normalizeTurns } from '../../core/normalize-turns.ts';
import { nullableBodyReader, refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import { listIds, ToolCallMatcher } from '../tools.ts';
import { type Placed, readContent, readResult, readSystem, type ShownBlock, TextBuilder } from './content.ts';
import { MessageBody } from './schema.ts';

/** A line about the client, for another service than this: it differs with every request, and would keep the rest from being cached. */
const NOT_FOR_THE_MODEL = 'x-anthropic-billing-header:';

export function parseConversation(system: unknown, messages: readonly unknown[]): readonly Message[] {
  const ledger = new ToolCallMatcher();
  return normalizeTurns([
    ...parseSystem(system),
    ...turnsOf(messages).flatMap((turn): readonly Message[] => {
      switch (turn.role) {
        case 'user':
          return userTurn(turn, ledger);
        case 'assistant':
          return [assistantTurn(turn, ledger)];
        case 'system':
          requireAnswers(turn, ledger);
          return systemTurn(turn);
        default:
          throw turn.role satisfies never;
      }
    }),
  ]);
}

function parseSystem(raw: unknown): readonly Message[] {
  if (raw === undefined) return [];
  return systemTurn({ role: 'system', messages: [{ content: raw, path: 'system' }] });
}

function systemTurn(turn: Turn): readonly Message[] {
  const prose = new TextBuilder();
  for (const { placed, between } of blocksOf(turn, readSystem)) {
    const { block } = placed;
    // That tools come and go shows in the tools themselves.
    if (block.type === 'text' && !block.text.startsWith(NOT_FOR_THE_MODEL)) prose.append(block.text, between);
  }
  return prose.isEmpty ? [] : [{ role: 'system', content: prose.text }];
}

/** Messages become turns: neighbours with the same role are one. */

/** What stands between two blocks of a message, and between two messages of a turn. */
const BETWEEN_BLOCKS = '\n';
const BETWEEN_MESSAGES = '\n\n';

const readMessage = nullableBodyReader(
  Type.Object({ role: MessageBody.properties.role, content: Type.Optional(Type.Unknown()) }),
);

interface Turn {
  readonly role: 'user' | 'assistant' | 'system';
  readonly messages: { readonly content: unknown; readonly path: string }[];
}

function turnsOf(messages: readonly unknown[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const [index, raw] of messages.entries()) {
    const path = `messages[${index}]`;
    const { role, content } = readMessage(raw, path);
    const message = { content, path: `${path}.content` };
    const before = turns.at(-1);
    if (before?.role === role) before.messages.push(message);
    else turns.push({ role, messages: [message] });
  }
  return turns;
}

/** All blocks of a turn, with what stands between each and what was said before it. */
function blocksOf<Block>(
  { messages }: Turn,
  read: (content: unknown, path: string) => readonly Block[],
): readonly { readonly placed: Block; readonly between: string }[] {
  return messages.flatMap(({ content, path }) =>
    read(content, path).map((placed, index) => ({
      placed,
      between: index === 0 ? BETWEEN_MESSAGES : BETWEEN_BLOCKS,
    })),
  );
}

/** What a user says becomes the core's messages: first the results of tools, each a message of its own, then the rest. */

const USER_BLOCKS = ['text', 'image', 'document', 'search_result', 'tool_result'] as const;
type UserBlock = (typeof USER_BLOCKS)[number];

function userTurn(turn: Turn, ledger: ToolCallMatcher): readonly Message[] {
  const results: Message[] = [];
  const prose = new TextBuilder();
  let saysMore: string | undefined;
  const where = 'a message with role "user"';
  for (const { placed, between } of blocksOf(turn, (content, path) =>
    readContent<UserBlock>(content, path, { types: USER_BLOCKS, where }),
  )) {
    if (isResult(placed)) {
      if (saysMore !== undefined)
        throw invalid(
          placed.path,
          `${placed.path} is a tool_result behind other content (${saysMore}): results come first.`,
        );
      results.push(toolResult(placed, { ledger, prose }));
    } else {
      saysMore ??= placed.path;
      prose.appendBlock(placed, between);
    }
  }
  requireAnswers(turn, ledger);
  ledger.reset();
  if (!prose.isEmpty) {
    const { text: content, images } = prose;
    return [...results, { role: 'user', content, ...(images.length > 0 && { images }) }];
  }
  if (results.length > 0) return results;
  const path = turn.messages[0]?.path ?? 'messages';
  throw invalid(path, `${path} is empty, but a message with role "user" must say something.`);
}

function isResult(placed: Placed<UserBlock>): placed is Placed<'tool_result'> {
  return placed.block.type === 'tool_result';
}

function isReference(placed: Placed<ShownBlock | 'tool_reference'>): placed is Placed<'tool_reference'> {
  return placed.block.type === 'tool_reference';
}

/** Its pictures go into what the user says next: an answer of a tool is a text. */
function toolResult(
  { block, path }: Placed<'tool_result'>,
  to: { readonly ledger: ToolCallMatcher; readonly prose: TextBuilder },
): Message {
  const toolCallId = to.ledger.match(block.tool_use_id, {
    path,
    idPath: `${path}.tool_use_id`,
    misplaced: {
      path,
      message: `${path} is a tool_result, but no assistant’s message with a tool_use stands before its own.`,
    },
  });
  const told = new TextBuilder();
  const content = block.content ?? [];
  for (const given of readResult(content, `${path}.content`)) {
    if (isReference(given)) told.append(`${given.block.tool_name} can be called now.`, BETWEEN_BLOCKS);
    else told.appendBlock(given, BETWEEN_BLOCKS);
  }
  to.prose.appendImages(told.images);
  return { role: 'tool', content: block.is_error ? asError(told.text) : told.text, toolCallId };
}

/** Templates know no failed call: the text says it, where it does not already. */
function asError(text: string): string {
  if (/^\W*(\w+_)?error/i.test(text)) return text;
  return text === '' ? 'Error' : `Error: ${text}`;
}

function requireAnswers({ messages }: Turn, ledger: ToolCallMatcher): void {
  const { unanswered } = ledger;
  if (unanswered.length === 0) return;
  const path = messages[0]?.path ?? 'messages';
  throw invalid(
    path,
    `${path} must begin with a tool_result for each tool_use before it; missing: ${listIds(unanswered)}.`,
  );
}

/** What a model said before becomes one message of the core: its text, its thoughts and its calls. */

const ASSISTANT_BLOCKS = ['text', 'thinking', 'redacted_thinking', 'tool_use'] as const;
type AssistantBlock = (typeof ASSISTANT_BLOCKS)[number];

function assistantTurn(turn: Turn, ledger: ToolCallMatcher): Message {
  const said = new TextBuilder();
  const thought = new TextBuilder();
  const calls: { readonly call: ToolCall; readonly idPath: string }[] = [];
  const where = 'a message with role "assistant"';
  for (const { placed, between } of blocksOf(turn, (content, path) =>
    readContent<AssistantBlock>(content, path, { types: ASSISTANT_BLOCKS, where }),
  )) {
    const { block, path } = placed;
    switch (block.type) {
      case 'text':
        said.append(block.text, between);
        break;
      case 'thinking':
        thought.append(block.thinking, between);
        break;
      case 'redacted_thinking':
        // Nobody here can read it.
        break;
      case 'tool_use': {
        refuseDeepNesting(block.input, `${path}.input`);
        const { id, name, input } = block;
        calls.push({ call: { id, name, arguments: JSON.stringify(input) }, idPath: `${path}.id` });
        break;
      }
      default:
        block satisfies never;
    }
  }
  ledger.begin(calls.map(({ call: { id }, idPath }) => ({ id, idPath })));
  return {
    role: 'assistant',
    content: said.text,
    ...(!thought.isEmpty && { reasoning: thought.text }),
    ...(calls.length > 0 && { toolCalls: calls.map(({ call }) => call) }),
  };
}
