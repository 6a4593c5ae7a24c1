/** Bodies of /v1/messages, for unit tests of its protocol. */
import type { Message } from '../../src/core/generation.ts';
import { messagesRoute } from '../../src/protocols/anthropic/protocol.ts';
import { parseWith, refusalWith } from './protocol-answers.ts';

export const asks = { role: 'user', content: 'hi' };

/** A body that asks `hi`, changed. */
export function bodyWith(fields: object): Readonly<Record<string, unknown>> {
  return { model: 'm', max_tokens: 10, messages: [asks], ...fields };
}

export function parseMessage(fields: object = {}) {
  return parseWith(messagesRoute, bodyWith(fields));
}

export function messageRefusal(fields: object) {
  return refusalWith(messagesRoute, bodyWith(fields));
}

/** The core's messages. */
export function conversationOf(messages: readonly unknown[], fields: object = {}): readonly Message[] {
  const { input } = parseMessage({ messages, ...fields }).request;
  if (input.kind !== 'chat') throw new Error('is no chat');
  return input.messages;
}
