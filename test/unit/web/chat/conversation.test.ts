import { expect, test } from 'vitest';
import {
  branchesOf,
  type Conversation,
  type Message,
  newConversation,
  openCalls,
  pathBefore,
  pathOf,
  showing,
  titleOf,
  withChange,
  withMessage,
} from '../../../../web/chat/conversation.ts';

const message = (id: string, parent: string | undefined, role: Message['role'], text = id): Message => ({
  id,
  parent,
  role,
  text,
});

function built(...messages: Message[]): Conversation {
  return messages.reduce((so, each) => withMessage(so, each, 1), newConversation('c', 0, 'demo'));
}

const ids = (path: readonly Message[]) => path.map(({ id }) => id);

test('an edited message and a regenerated answer are branches; the old ones stay', () => {
  const once = built(message('q1', undefined, 'user'), message('a1', 'q1', 'assistant'));
  const again = withMessage(once, message('a2', 'q1', 'assistant'), 2);
  expect(ids(pathOf(again))).toEqual(['q1', 'a2']);
  const edited = withMessage(again, message('q2', undefined, 'user'), 3);
  expect(ids(pathOf(edited))).toEqual(['q2']);
  const back = showing(edited, 'q1');
  expect(ids(pathOf(back))).toEqual(['q1', 'a2']);
  expect(branchesOf(back, message('a2', 'q1', 'assistant'))).toEqual({
    position: 2,
    count: 2,
    previous: 'a1',
    next: undefined,
  });
  expect(ids(pathOf(showing(back, 'a1')))).toEqual(['q1', 'a1']);
});

test('what an answer was asked with are the messages before it, on its own branch', () => {
  const conversation = built(
    message('q1', undefined, 'user'),
    message('a1', 'q1', 'assistant'),
    message('q2', 'a1', 'user'),
    message('a2', 'q1', 'assistant'),
  );
  expect(ids(pathBefore(conversation, message('x', 'q2', 'assistant')))).toEqual(['q1', 'a1', 'q2']);
});

test('values are never changed', () => {
  const before = built(message('q1', undefined, 'user'));
  const copy = structuredClone(before);
  withChange(before, 'q1', { text: 'other' });
  withMessage(before, message('a1', 'q1', 'assistant'), 1);
  expect(before).toEqual(copy);
});

test('the first words are the title until it has one', () => {
  const conversation = built(message('q1', undefined, 'user', `  Some\n words ${'x'.repeat(100)}`));
  expect(titleOf(conversation)).toMatch(/^Some words x+…$/);
  expect(titleOf({ ...conversation, title: 'Mine' })).toBe('Mine');
});

test('calls wait for results only at the end', () => {
  const calls = [{ id: 'c1', name: 'f', arguments: '{}' }];
  const answer = { ...message('a', 'q', 'assistant', ''), toolCalls: calls };
  expect(openCalls([answer])).toEqual(calls);
  expect(openCalls([answer, message('t', 'a', 'tool')])).toEqual([]);
});
