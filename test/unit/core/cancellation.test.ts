import { describe, expect, it } from 'vitest';
import { abortable, Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError } from '../../../src/core/errors.ts';

describe('cancellation', () => {
  const GONE = new ServingError('client_gone');
  const LATE = new ServingError('deadline_exceeded');

  it('tells all that listen, once, with the first reason', () => {
    const cancellation = new Cancellation();
    const told: string[] = [];
    cancellation.onCancel(({ code }) => told.push(`one ${code}`));
    cancellation.onCancel(({ code }) => told.push(`other ${code}`));
    cancellation.cancel(GONE);
    cancellation.cancel(LATE);
    expect(told).toEqual(['one client_gone', 'other client_gone']);
    expect(cancellation.reason).toBe(GONE);
  });

  it('tells nothing to what listens no more', () => {
    const cancellation = new Cancellation();
    const told: string[] = [];
    const listener = ({ code }: ServingError) => void told.push(code);
    cancellation.onCancel(listener);
    cancellation.off(listener);
    cancellation.cancel(GONE);
    expect(told).toEqual([]);
  });

  it('is a signal where one is asked for, before or after', () => {
    const [before, after] = [new Cancellation(), new Cancellation()];
    const { signal } = before;
    before.cancel(GONE);
    after.cancel(LATE);
    expect([signal.reason, after.signal.reason]).toEqual([GONE, LATE]);
  });
});

describe('abortable', () => {
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
});
