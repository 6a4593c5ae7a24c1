/** Words of the Live view. */
import { expect, it } from 'vitest';
import { outcomeInWords, summary } from '../../../../web/live/words.ts';
import { NO_SUMS, snapshotAt, targetOf } from '../../../support/live-snapshots.ts';

it('an outcome that is a cause of failure is said as one', () => {
  expect(outcomeInWords('completed')).toBe('finished');
  expect(outcomeInWords('connect_failed')).toBe('failed: connect failed');
});

it('the summary says how many slots of a shared target are leased', () => {
  const lease = { slots: 3, basis: 'lease', replicas: 2, target_slots: 8, even_share: 4 } as const;
  const alone = { ...lease, basis: 'even_share', replicas: 1, slots: 8 } as const;
  const none = { ...lease, basis: 'none', slots: 0 } as const;
  const said = (each: typeof lease | typeof alone | typeof none) =>
    summary(snapshotAt(0, { targets: [targetOf('a', { lease: each })] }));
  expect(said(lease)).toContain('a leased: 3 of 8, 2 servers');
  expect(said(alone)).toContain('a leased: 8 of 8, the even share, 1 server');
  expect(said(none)).toContain('a leased: none now');
});

it('the summary has slots, queue, rate and what is wrong', () => {
  const targets = [targetOf('a', { slots_used: 3 }), targetOf('b', { status: 'ejected' })];
  const models = [{ id: 'demo', waiting: 1, running: 3 }];
  const sums = { ...NO_SUMS, finished: 90, failed: 2 };
  expect(summary(snapshotAt(0, { targets, models, sums }))).toBe(
    '3 of 8 slots busy, 1 request waiting, 1.50 finished a second, 2 failed, b is ejected',
  );
});
