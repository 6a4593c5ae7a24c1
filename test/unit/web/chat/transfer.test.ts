import { expect, test } from 'vitest';
import { newConversation, withMessage } from '../../../../web/chat/conversation.ts';
import { exported, imported } from '../../../../web/chat/transfer.ts';

const settings = { system: 's', parameters: { seed: '1' }, tools: '[]', schema: '' };
const conversation = withMessage(
  withMessage(
    withMessage(
      newConversation('c-1', 5, 'demo', settings),
      { id: 'q1', parent: undefined, role: 'user', text: 'hi', images: ['data:image/png;base64,AA=='] },
      6,
    ),
    {
      id: 'a1',
      parent: 'q1',
      role: 'assistant',
      text: 'yes',
      model: 'demo',
      receipt: { queueMs: 1, servedModel: 'demo' },
      toolCalls: [{ id: 'c', name: 'f', arguments: '{}' }],
    },
    7,
  ),
  { id: 'a2', parent: 'q1', role: 'assistant', text: 'no', stopped: true },
  8,
);

test('what is exported is imported as it was', () => {
  expect(imported(exported([conversation]))).toEqual([conversation]);
});

const file = (changes: (copy: Record<string, never>) => void) => {
  const copy = JSON.parse(exported([conversation])) as { conversations: Record<string, never>[] };
  changes(copy.conversations[0] as Record<string, never>);
  return JSON.stringify(copy);
};

const messagesOf = (copy: Record<string, never>) =>
  copy.messages as unknown as Record<string, Record<string, unknown>>;

test.each([
  ['not JSON', 'The file is not JSON.'],
  ['{}', 'The file has no conversations of this page.'],
  ['{"format":"llm-serve-conversations","version":9}', 'The file has version 9, this page reads 1.'],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { role: 'system' })),
    'conversations[0].messages[0].role is none of user, assistant, tool.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { images: ['javascript:alert(1)'] })),
    'conversations[0].messages[0].images must be data: URLs of images.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { images: ['data:image/svg+xml;base64,AA=='] })),
    'conversations[0].messages[0].images must be data: URLs of images.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { text: { toString: 1 } })),
    'conversations[0].messages[0].text must be a text.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { id: '__proto__' })),
    'conversations[0].messages[0].id is no id.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).q1!, { parent: 'a1' })),
    'conversations[0]: messages follow each other in a circle.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).a1!, { parent: 'gone' })),
    'conversations[0]: the message a1 follows one that is not there.',
  ],
  [
    file((copy) => Object.assign(messagesOf(copy).a1!, { id: 'q1' })),
    'conversations[0] has two messages q1.',
  ],
])('a file that is not right is refused with the reason: %.60s', (text, reason) => {
  expect(() => imported(text)).toThrow(reason);
});

test('what this page does not know is left out', () => {
  const [taken] = imported(
    file((copy) => {
      Object.assign(copy, { evil: 1, shown: { q1: 'nobody', __proto__: 'x' } });
      Object.assign(messagesOf(copy).a1!, {
        html: '<b>',
        receipt: { queueMs: 'x', servedModel: 1, other: 2 },
      });
    }),
  );
  expect(taken).not.toHaveProperty('evil');
  expect(taken?.messages.a1).not.toHaveProperty('html');
  expect(taken?.messages.a1?.receipt).toEqual({});
  expect(taken?.shown.q1).toBe('a2');
});
