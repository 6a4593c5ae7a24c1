/** Words and figures of the Live view. */
import { describe, expect, it } from 'vitest';
import { duration, number, outcomeInWords, percent, plural, summary } from '../../../../web/live/words.ts';
import { NO_SUMS, snapshotAt, targetOf } from '../../../support/live-snapshots.ts';

describe('figures', () => {
  it.each([
    [0, '0 ms'],
    [3.24, '3.2 ms'],
    [999, '999 ms'],
    [999.7, '1.00 s'],
    [1_240, '1.24 s'],
    [12_340, '12.3 s'],
    [61_000, '61 s'],
    [185_000, '3 min 5 s'],
    [-4, '0 ms'],
    [null, '–'],
  ])('%s ms is read as %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [0, '0'],
    [3, '3'],
    [1.234, '1.23'],
    [45.67, '45.7'],
    [1234.5, '1\u202f235'],
    [1234567, '1\u202f234\u202f567'],
    [null, '–'],
  ])('%s is read as %s', (value, text) => expect(number(value)).toBe(text));

  it('what is not all is not shown as 100 %', () => {
    expect(percent(9_999, 10_000)).toBe('99.9\u202f%');
    expect(percent(10, 10)).toBe('100\u202f%');
    expect(percent(0, 0)).toBe('–');
  });

  it('one is singular', () => expect([plural(1, 'slot'), plural(2, 'slot')]).toEqual(['1 slot', '2 slots']));
});

it('an outcome that is a cause of failure is said as one', () => {
  expect(outcomeInWords('completed')).toBe('finished');
  expect(outcomeInWords('connect_failed')).toBe('failed: connect failed');
});

it('the summary has slots, queue, rate and what is wrong', () => {
  const targets = [targetOf('a', { slots_used: 3 }), targetOf('b', { status: 'ejected' })];
  const models = [{ id: 'demo', waiting: 1, running: 3 }];
  const sums = { ...NO_SUMS, finished: 90, failed: 2 };
  expect(summary(snapshotAt(0, { targets, models, sums }))).toBe(
    '3 of 8 slots busy, 1 request waiting, 1.50 finished a second, 2 failed, b is ejected',
  );
});
