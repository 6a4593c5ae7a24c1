import { expect, test } from 'vitest';
import { SharedAnswer } from '../../../src/core/shared-answer.ts';

function sharing() {
  const makings: { readonly done: (answer: string) => void; readonly fail: (error: Error) => void }[] = [];
  const shared = new SharedAnswer<string>(
    () =>
      new Promise((done, fail) => {
        makings.push({ done, fail });
      }),
  );
  const begun = (count: number) => expect.poll(() => makings.length).toBe(count);
  return { shared, makings, begun };
}

test('all who ask while one is being made share the next one, which begins when that one is made', async () => {
  const { shared, makings, begun } = sharing();
  const first = shared.get();
  await begun(1);
  const later = Array.from({ length: 1000 }, () => shared.get());
  await begun(1);
  makings[0]?.done('one');
  expect(await first).toBe('one');
  await begun(2);
  makings[1]?.done('two');
  expect(new Set(await Promise.all(later))).toEqual(new Set(['two']));
  expect(makings).toHaveLength(2);
});

test('one that fails fails for those who share it, and nobody else', async () => {
  const { shared, makings, begun } = sharing();
  const first = shared.get();
  await begun(1);
  const second = shared.get();
  makings[0]?.fail(new Error('no'));
  await expect(first).rejects.toThrow('no');
  await begun(2);
  makings[1]?.done('two');
  expect(await second).toBe('two');
});
