/** Points of the Live view's charts. */
import { expect, it } from 'vitest';
import { KEPT_POINTS, Series } from '../../../../web/live/series.ts';
import { NO_SUMS, receipt, running, snapshotAt } from '../../../support/live-snapshots.ts';

it('a point has the rates of its own second: tokens as they come, requests as they end', () => {
  const series = new Series();
  series.push(snapshotAt(0, { running: [running('a', { completion_tokens: 40 })] }));
  series.push(snapshotAt(500, { running: [running('a', { completion_tokens: 45 })] }));
  expect(series.size).toBe(0);
  series.push(
    snapshotAt(1_000, {
      running: [running('b', { completion_tokens: 3 })],
      ended: [
        receipt('a', { completion_tokens: 50 }),
        receipt('x', { model: null, completion_tokens: null }),
      ],
      models: [{ id: 'demo', running: 1, waiting: 7 }],
    }),
  );
  expect(series.last).toMatchObject({
    at: 1,
    tokens: 13,
    finished: 1,
    running: 1,
    waiting: 7,
    ttftP50: null,
  });
  series.push(snapshotAt(3_000, { running: [running('b', { completion_tokens: 9 })] }));
  expect(series.last).toMatchObject({ tokens: 3, finished: 0 });
});

it('where the page sees only its own requests, rates are those of the sums', () => {
  const series = new Series();
  const sums = { ...NO_SUMS, finished: 120, within_objectives: 60, completion_tokens: 6_000 };
  for (const at of [0, 1_000]) series.push(snapshotAt(at, { scope: 'own', sums }));
  expect(series.last).toMatchObject({ tokens: 100, finished: 2, within: 1 });
});

it('an interruption breaks the lines, and is in no rate', () => {
  const series = new Series();
  for (const at of [0, 1_000]) series.push(snapshotAt(at));
  series.interrupted();
  for (const at of [60_000, 61_000]) series.push(snapshotAt(at, { ended: [receipt(String(at))] }));
  expect(series.column('finished')).toEqual([0, null, 1]);
  expect(series.column('at')).toEqual([1, 2, 61]);
});

it('the history is bounded', () => {
  const series = new Series();
  for (let second = 0; second < 2 * KEPT_POINTS; second += 1) series.push(snapshotAt(second * 1_000));
  expect(series.size).toBe(KEPT_POINTS);
});
