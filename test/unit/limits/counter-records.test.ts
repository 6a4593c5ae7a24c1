/** A counter is a number, and numbers are used again: who has kept one must be able to tell. */
import { expect, it } from 'vitest';
import { CounterRecords, SUM } from '../../../src/limits/counter-records.ts';

it('tells whether a number still is the counter that it was', () => {
  const records = new CounterRecords();
  const kept = records.open(0);
  const dropped = records.open(0);
  const then = records.closed;
  records.close(dropped);
  expect(records.isSince(kept, then)).toBe(true);
  expect(records.isSince(dropped, then)).toBe(false);
});

it('tells one counter from the next with the same number', () => {
  const records = new CounterRecords();
  const former = records.open(0);
  records.setNumber(former, SUM, 7);
  const then = records.closed;
  records.close(former);
  const latter = records.open(0);
  expect(latter).toBe(former);
  expect(records.number(latter, SUM)).toBe(0);
  expect(records.isSince(latter, then)).toBe(false);
  expect(records.isSince(latter, records.closed)).toBe(true);
});

it('does not take a counter that was opened anew before for a later one', () => {
  const records = new CounterRecords();
  const other = records.open(0);
  records.close(records.open(0));
  const reopened = records.open(0);
  const then = records.closed;
  records.close(other);
  records.close(records.open(0));
  expect(records.isSince(reopened, then)).toBe(true);
});
