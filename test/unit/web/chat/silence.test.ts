/** A silent answer is probed and not cut; one whose server is gone ends. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SilenceWatch } from '../../../../web/chat/silence.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched(...answers: readonly boolean[]) {
  const rest = [...answers];
  const seen = { asked: 0, gone: 0 };
  const watch = new SilenceWatch({
    afterMs: 1000,
    isThere: async () => {
      seen.asked += 1;
      return rest.shift() ?? true;
    },
    onGone: () => {
      seen.gone += 1;
    },
  });
  return { watch, seen };
}

test('what is silent for long goes on while the other end answers', async () => {
  const { watch, seen } = watched();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(seen).toEqual({ asked: 10, gone: 0 });
  watch.end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(seen.asked).toBe(10);
});

test('it is gone after two questions in a row without an answer, and not after one', async () => {
  const { seen } = watched(false, true, false, false);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(seen.gone).toBe(0);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(seen).toEqual({ asked: 4, gone: 1 });
});

test('what is heard begins the silence anew, also while a question is under way', async () => {
  const { watch, seen } = watched(false, false);
  await vi.advanceTimersByTimeAsync(900);
  watch.heard();
  await vi.advanceTimersByTimeAsync(900);
  expect(seen.asked).toBe(0);
  await vi.advanceTimersByTimeAsync(200);
  watch.heard();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen).toEqual({ asked: 2, gone: 0 });
  watch.end();
});
