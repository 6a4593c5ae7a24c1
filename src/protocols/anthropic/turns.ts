/** Messages become turns: neighbours with the same role are one. */
import { Type } from 'typebox';
import { lenientReader } from '../lenient-body.ts';
import { Message } from './content-schema.ts';

/** What stands between two blocks of a message, and between two messages of a turn. */
export const BETWEEN_BLOCKS = '\n';
const BETWEEN_MESSAGES = '\n\n';

const readMessage = lenientReader(
  Type.Object({ role: Message.properties.role, content: Type.Optional(Type.Unknown()) }),
);

export interface Turn {
  readonly role: 'user' | 'assistant' | 'system';
  readonly messages: { readonly content: unknown; readonly path: string }[];
}

export function turnsOf(messages: readonly unknown[]): readonly Turn[] {
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
export function blocksOf<Block>(
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
