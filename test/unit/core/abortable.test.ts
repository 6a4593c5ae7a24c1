import { expect, it } from 'vitest';
import { abortable } from '../../../src/core/abortable.ts';

it('gives what was brought about, and leaves nothing on the signal', async () => {
  const controller = new AbortController();
  let ended = 0;
  const given = abortable<string>(controller.signal, ({ resolve }) => {
    queueMicrotask(() => resolve('here'));
    return () => {
      ended += 1;
    };
  });
  expect(await given).toBe('here');
  controller.abort(new Error('late'));
  expect(ended).toBe(0);
});

it('rejects with the reason of an abort at once, and ends the work', async () => {
  const controller = new AbortController();
  let ended = 0;
  const given = abortable(controller.signal, () => () => {
    ended += 1;
  });
  const reason = new Error('left');
  controller.abort(reason);
  await expect(given).rejects.toBe(reason);
  expect(ended).toBe(1);
});

it('starts nothing for a signal that has been aborted', async () => {
  let started = false;
  const given = abortable(AbortSignal.abort('before'), () => {
    started = true;
    return undefined;
  });
  await expect(given).rejects.toBe('before');
  expect(started).toBe(false);
});
