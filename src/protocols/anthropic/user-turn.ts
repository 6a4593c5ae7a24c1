/** What a user says becomes the core's messages: first the results of tools, each a message of its own, then the rest. */
import type { Message } from '../../core/generation.ts';
import { type CallLedger, listed } from '../call-ledger.ts';
import { invalid } from '../invalid.ts';
import { type Placed, readContent, readResult, type ShownBlock } from './content.ts';
import { Prose } from './prose.ts';
import { BETWEEN_BLOCKS, blocksOf, type Turn } from './turns.ts';

const USER_BLOCKS = ['text', 'image', 'document', 'search_result', 'tool_result'] as const;
type UserBlock = (typeof USER_BLOCKS)[number];

export function userTurn(turn: Turn, ledger: CallLedger): readonly Message[] {
  const results: Message[] = [];
  const prose = new Prose();
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
      prose.show(placed, between);
    }
  }
  requireAnswers(turn, ledger);
  ledger.forget();
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
  to: { readonly ledger: CallLedger; readonly prose: Prose },
): Message {
  const toolCallId = to.ledger.answered(block.tool_use_id, {
    path,
    idPath: `${path}.tool_use_id`,
    misplaced: {
      path,
      message: `${path} is a tool_result, but no assistant’s message with a tool_use stands before its own.`,
    },
  });
  const told = new Prose();
  const content = block.content ?? [];
  for (const given of readResult(content, `${path}.content`)) {
    if (isReference(given)) told.say(`${given.block.tool_name} can be called now.`, BETWEEN_BLOCKS);
    else told.show(given, BETWEEN_BLOCKS);
  }
  to.prose.bring(told.images);
  return { role: 'tool', content: block.is_error ? asError(told.text) : told.text, toolCallId };
}

/** Templates know no failed call: the text says it, where it does not already. */
function asError(text: string): string {
  if (/^\W*(\w+_)?error/i.test(text)) return text;
  return text === '' ? 'Error' : `Error: ${text}`;
}

export function requireAnswers({ messages }: Turn, ledger: CallLedger): void {
  const { unanswered } = ledger;
  if (unanswered.length === 0) return;
  const path = messages[0]?.path ?? 'messages';
  throw invalid(
    path,
    `${path} must begin with a tool_result for each tool_use before it; missing: ${listed(unanswered)}.`,
  );
}
