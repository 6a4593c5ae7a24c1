/** The time of a decision. */
import { expect, it } from 'vitest';
import { Moment } from '../../../src/limits/moment.ts';

it('never goes back by the monotonic clock', () => {
  let now = 5;
  const moment = new Moment({ now: () => now, wallNow: () => 0 });
  moment.advance();
  now = 3;
  moment.advance();
  expect(moment.now).toBe(5);
});

it('follows the wall clock, which is read once for a decision', () => {
  const read = [100, 50];
  const moment = new Moment({ now: () => 0, wallNow: () => read.shift() ?? Number.NaN });
  moment.advance();
  expect([moment.wallNow, moment.wallNow]).toEqual([100, 100]);
  moment.advance();
  expect([moment.wallNow, moment.wallNow]).toEqual([50, 50]);
});

it('does not read the wall clock where nobody asks', () => {
  let asked = 0;
  const moment = new Moment({ now: () => 0, wallNow: () => (asked += 1) });
  moment.advance();
  moment.advance();
  expect(asked).toBe(0);
});
