import { expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError } from '../../../src/core/errors.ts';

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
