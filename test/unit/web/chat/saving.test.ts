/** When conversations are written to the browser's database. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { notice, summaries } from '../../../../web/chat/chat-state.ts';
import { newConversation } from '../../../../web/chat/conversation.ts';
import { database } from '../../../../web/chat/conversation-database.ts';
import { saver } from '../../../../web/chat/saving.ts';

const written: string[] = [];
const titled = (id: string, title: string) => ({ ...newConversation(id, 0, 'demo'), title });

beforeEach(() => {
  written.length = 0;
  vi.useFakeTimers();
  vi.spyOn(database, 'save').mockImplementation(async ({ title }) => {
    written.push(title);
    return title !== 'deleted';
  });
});

afterEach(() => {
  saver.flush();
  vi.restoreAllMocks();
  vi.useRealTimers();
  summaries.set([]);
  notice.set(undefined);
});

test('of many changes within the time the last is written, once', () => {
  for (const title of ['a', 'ab', 'abc']) {
    saver.save(titled('x', title), 400);
    vi.advanceTimersByTime(100);
  }
  expect(written).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(written).toEqual(['abc']);
  vi.advanceTimersByTime(10_000);
  expect(written).toEqual(['abc']);
});

test('changes that never pause are written all the same', () => {
  for (let at = 0; at < 100; at += 1) {
    saver.save(titled('x', String(at)), 400);
    vi.advanceTimersByTime(50);
  }
  expect(written.length).toBe(12);
});

test('what must be written at once takes along what waits', () => {
  saver.save(titled('x', 'slow'), 4_000);
  saver.save(titled('y', 'now'), 0);
  expect(written).toEqual(['slow', 'now']);
});

test('a change that may wait less than the one before it does', () => {
  saver.save(titled('x', 'an answer'), 4_000);
  saver.save(titled('y', 'a setting'), 400);
  vi.advanceTimersByTime(400);
  expect(written).toEqual(['an answer', 'a setting']);
});

test('the list has what was written, the newest first, and nothing that is deleted', async () => {
  saver.save({ ...titled('x', 'older'), updatedAt: 1 }, 0);
  saver.save({ ...titled('y', 'newer'), updatedAt: 2 }, 0);
  saver.save(titled('z', 'deleted'), 0);
  await vi.advanceTimersByTimeAsync(0);
  expect(summaries.get().map(({ title }) => title)).toEqual(['newer', 'older']);
  saver.save(titled('w', 'gone'), 400);
  saver.forget('w');
  vi.advanceTimersByTime(400);
  expect(written).not.toContain('gone');
});

test('where the browser has no room the person is told', async () => {
  vi.spyOn(database, 'save').mockRejectedValue(new Error('No more room.'));
  saver.save(titled('x', 'a'), 0);
  await vi.advanceTimersByTimeAsync(0);
  expect(notice.get()).toBe('No more room.');
});
