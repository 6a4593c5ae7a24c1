/**
 * Conversations as every chat template takes them: one system message, at the beginning, and no two user messages in a row.
 * Coding agents send system messages in the middle, which many templates reject or drop. Pure.
 */
import type { Message } from './generation.ts';

const BETWEEN = '\n\n';

type UserMessage = Extract<Message, { readonly role: 'user' }>;

/**
 * A later system message stays where it is, as marked text in a user message or at the end of a tool result. Moved to the
 * beginning, it would change the start of every prompt, and no cached prefix would fit any more.
 */
export function normalizeTurns(messages: readonly Message[]): readonly Message[] {
  const turns: Message[] = [];
  for (const message of messages) {
    const before = turns.at(-1);
    if (message.role === 'system') {
      const { content } = message;
      if (turns.length === 0) turns.push(message);
      else if (turns.length === 1 && before?.role === 'system')
        turns[0] = { role: 'system', content: joined(before.content, content) };
      else if (content !== '') remind(turns, content);
    } else if (message.role === 'user' && before?.role === 'user')
      turns[turns.length - 1] = joinedUser(before, message);
    else turns.push(message);
  }
  return turns;
}

function remind(turns: Message[], content: string): void {
  const reminder = `<system-reminder>\n${content}\n</system-reminder>`;
  const before = turns.at(-1);
  if (before?.role === 'user' || before?.role === 'tool')
    turns[turns.length - 1] = { ...before, content: joined(before.content, reminder) };
  else turns.push({ role: 'user', content: reminder });
}

function joinedUser(first: UserMessage, second: UserMessage): UserMessage {
  const content = joined(first.content, second.content);
  const shift = content.length - second.content.length;
  const shifted = (second.images ?? []).map((image) => ({ ...image, at: image.at + shift }));
  const images = [...(first.images ?? []), ...shifted];
  return { role: 'user', content, ...(images.length > 0 && { images }) };
}

function joined(first: string, second: string): string {
  return [first, second].filter((text) => text !== '').join(BETWEEN);
}
