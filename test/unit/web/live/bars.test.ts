/** Bars of the Live view's lanes, made of snapshots: what waits, runs and has ended, whatever the snapshots left out. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bar, Bars, KEPT_MS, MAX_BARS } from '../../../../web/live/bars.ts';
import { overlaps } from '../../../../web/live/lanes.ts';
import { attempt, receipt, running, snapshotAt, waiting } from '../../../support/live-snapshots.ts';

const all = (bars: Bars): readonly Bar[] => [...bars.all];
const only = (bars: Bars): Bar => {
  expect(bars.size).toBe(1);
  return all(bars)[0]!;
};

describe('a request', () => {
  it('waits, runs, streams and ends as one bar, with the times of its receipt', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { queue: [waiting('a', { enqueued_at_ms: 50 })] }));
    expect(only(bars)).toMatchObject({ startedAt: null, endedAt: null, queueLane: 0, lane: null });
    const runs = { enqueued_at_ms: 50, started_at_ms: 150 };
    bars.apply(snapshotAt(350, { running: [running('a', runs)] }));
    expect(only(bars)).toMatchObject({ startedAt: 150, target: 'one', lane: 0, queueLane: 0 });
    bars.apply(
      snapshotAt(600, { running: [running('a', { ...runs, first_token_at_ms: 400, completion_tokens: 3 })] }),
    );
    expect(only(bars)).toMatchObject({ firstTokenAt: 400, tokens: 3, endedAt: null });
    const done = attempt({
      enqueued_at_ms: 50,
      started_at_ms: 150,
      first_token_at_ms: 401,
      ended_at_ms: 777,
    });
    bars.apply(snapshotAt(850, { ended: [receipt('a', { ended_at_ms: 778, attempts: [done] })] }));
    expect(only(bars)).toMatchObject({
      firstTokenAt: 401,
      endedAt: 777,
      outcome: 'completed',
      tokens: 5,
      lane: 0,
    });
    expect(only(bars).receipt?.status).toBe(200);
  });

  it('that began and ended between two snapshots has a bar too', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(250, { ended: [receipt('a', { attempts: [attempt()] })] }));
    expect(only(bars)).toMatchObject({
      startedAt: 0,
      endedAt: 100,
      lane: 0,
      queueLane: null,
      outcome: 'completed',
    });
  });

  it('that leaves the queue without a slot ends there, with the reason', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { queue: [waiting('a')] }));
    const timedOut = receipt('a', { status: 503, error_code: 'queue_timeout', ended_at_ms: 230 });
    bars.apply(snapshotAt(350, { ended: [timedOut] }));
    expect(only(bars)).toMatchObject({
      endedAt: 230,
      outcome: 'rejected',
      errorCode: 'queue_timeout',
      lane: null,
    });
  });

  it('whose client leaves while it waits is cancelled', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { queue: [waiting('a')] }));
    bars.apply(snapshotAt(350, { ended: [receipt('a', { status: 499, ended_at_ms: 200 })] }));
    expect(only(bars)).toMatchObject({ endedAt: 200, outcome: 'cancelled' });
  });

  it('that is rejected at once is marked in the queue; one that asked no model is not', () => {
    const bars = new Bars();
    const full = receipt('a', { status: 503, error_code: 'queue_full', received_at_ms: 99, ended_at_ms: 99 });
    bars.apply(snapshotAt(100, { ended: [full, receipt('b', { model: null, route: '/health' })] }));
    expect(only(bars)).toMatchObject({ outcome: 'rejected', queueLane: 0, errorCode: 'queue_full' });
  });

  it('that is tried again has a bar for each try, the later one joined to the earlier', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { running: [running('a', { request_id: 'r' })] }));
    const second = running('b', {
      request_id: 'r',
      attempt: 2,
      target: 'two',
      enqueued_at_ms: 120,
      started_at_ms: 120,
    });
    bars.apply(snapshotAt(350, { running: [second] }));
    const [first, next] = all(bars);
    expect(first).toMatchObject({ target: 'one', endedAt: 100, outcome: 'moved_on' });
    expect(next).toMatchObject({ target: 'two', endedAt: null, previous: first });
    const attempts = [
      attempt({ ended_at_ms: 119, outcome: 'connection_failed' as never }),
      attempt({
        target: 'two',
        kind: 'elsewhere',
        enqueued_at_ms: 120,
        started_at_ms: 120,
        ended_at_ms: 500,
      }),
    ];
    bars.apply(
      snapshotAt(600, { ended: [{ ...receipt('a'), request_id: 'r', ended_at_ms: 500, attempts }] }),
    );
    expect(all(bars)).toHaveLength(2);
    expect(first).toMatchObject({ endedAt: 119, outcome: 'connection_failed' });
    expect(next).toMatchObject({ endedAt: 500, outcome: 'completed', kind: 'elsewhere', previous: first });
  });

  it('with several choices has a bar for each, none joined to another', () => {
    const bars = new Bars();
    const choices = ['a', 'b', 'c'].map((id, slot) => running(id, { request_id: 'r', slot }));
    bars.apply(snapshotAt(100, { running: choices }));
    expect(all(bars).map(({ lane }) => lane)).toEqual([0, 1, 2]);
    const attempts = [
      attempt({ slot: 2, ended_at_ms: 160 }),
      attempt(),
      attempt({ slot: 1, ended_at_ms: 150 }),
    ];
    bars.apply(snapshotAt(350, { ended: [{ ...receipt('a'), request_id: 'r', attempts }] }));
    expect(all(bars).map(({ endedAt }) => endedAt)).toEqual([100, 150, 160]);
    expect(all(bars).every(({ previous }) => previous === null)).toBe(true);
  });

  it('keeps to its own receipt where two clients chose the same id', () => {
    const bars = new Bars();
    const twins = ['a', 'b'].map((id, at) =>
      running(id, {
        request_id: 'same',
        received_at_ms: at * 5_000,
        enqueued_at_ms: at * 5_000,
        started_at_ms: at * 5_000,
      }),
    );
    bars.apply(snapshotAt(5_100, { running: twins }));
    const second = { received_at_ms: 5_000, ended_at_ms: 5_200 };
    const ran = attempt({ enqueued_at_ms: 5_000, started_at_ms: 5_000, ended_at_ms: 5_200 });
    bars.apply(
      snapshotAt(5_350, {
        running: twins.slice(0, 1),
        ended: [{ ...receipt('b', second), request_id: 'same', attempts: [ran] }],
      }),
    );
    expect(all(bars).map(({ endedAt }) => endedAt)).toEqual([null, 5_200]);
  });
});

it('a bar is drawn in the lane of its slot, also one that is reported late', () => {
  const bars = new Bars();
  bars.apply(snapshotAt(100, { running: [running('a')] }));
  const next = running('b', { enqueued_at_ms: 150, started_at_ms: 151 });
  const done = receipt('a', { attempts: [attempt({ ended_at_ms: 150 })] });
  bars.apply(snapshotAt(350, { running: [next], ended: [done] }));
  expect(all(bars).map(({ lane }) => lane)).toEqual([0, 0]);
  const late = attempt({ slot: 3, started_at_ms: 20, ended_at_ms: 60 });
  bars.apply(snapshotAt(600, { running: [next], ended: [receipt('c', { attempts: [late] })] }));
  expect(all(bars).map(({ lane }) => lane)).toEqual([0, 0, 3]);
});

describe('where snapshots are lost', () => {
  it('a bar that is gone ends where it was last seen, and is corrected by a late receipt', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { running: [running('a')] }));
    bars.apply(snapshotAt(350));
    expect(only(bars)).toMatchObject({ endedAt: 100, outcome: 'unknown' });
    bars.apply(snapshotAt(600, { ended: [receipt('a', { attempts: [attempt({ ended_at_ms: 140 })] })] }));
    expect(only(bars)).toMatchObject({ endedAt: 140, outcome: 'completed' });
  });

  it('a bar that comes back goes on', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { running: [running('a')] }));
    bars.interrupted();
    expect(only(bars).endedAt).toBe(100);
    bars.apply(snapshotAt(9_000, { running: [running('a', { completion_tokens: 7 })] }));
    expect(only(bars)).toMatchObject({ endedAt: null, tokens: 7 });
  });

  it('a restarted server may give an id again', () => {
    const bars = new Bars();
    bars.apply(snapshotAt(100, { running: [running('a')] }));
    bars.interrupted();
    const again = running('a', {
      request_id: 'other',
      received_at_ms: 8_900,
      enqueued_at_ms: 8_900,
      started_at_ms: 8_900,
    });
    bars.apply(snapshotAt(9_000, { running: [again] }));
    expect(all(bars).map(({ endedAt }) => endedAt)).toEqual([100, null]);
  });
});

describe('what is kept', () => {
  it('is forgotten when it is older than the longest time range', () => {
    const bars = new Bars();
    bars.apply(
      snapshotAt(100, { ended: [receipt('a', { attempts: [attempt()] })], running: [running('b')] }),
    );
    bars.apply(snapshotAt(KEPT_MS + 200, { running: [running('b')] }));
    expect(only(bars).requestId).toBe('req_b');
    expect(bars.ofRequest('req_a')).toEqual([]);
  });

  it('is bounded, however many requests end', () => {
    const bars = new Bars();
    for (let at = 0; at < 120; at += 1) {
      const ended = Array.from({ length: 100 }, (_, one) => {
        const time = {
          started_at_ms: at * 100 + one,
          ended_at_ms: at * 100 + one + 30,
          enqueued_at_ms: at * 100,
        };
        return receipt(`${at}-${one}`, { received_at_ms: at * 100, attempts: [attempt(time)] });
      });
      bars.apply(snapshotAt(at * 100 + 200, { ended }));
    }
    expect(bars.size).toBeLessThanOrEqual(MAX_BARS);
    expect(bars.size).toBeGreaterThan(MAX_BARS - 200);
  });
});

it('no two waits in a line of the queue overlap, whatever the snapshots show and leave out', () => {
  const one = fc.record({
    start: fc.integer({ min: 0, max: 4_000 }),
    length: fc.integer({ min: 1, max: 2_000 }),
    wait: fc.integer({ min: 0, max: 800 }),
    target: fc.constantFrom('one', 'two'),
    receipt: fc.boolean(),
  });
  const seen = fc.infiniteStream(fc.integer({ min: 0, max: 9 }));
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 25 }), seen, (requests, luck) => {
      const bars = new Bars();
      const next = () => luck.next().value as number;
      for (let at = 250; at <= 7_000; at += 250) {
        if (next() === 0) continue;
        const common = (enqueued: number) => ({ received_at_ms: enqueued, enqueued_at_ms: enqueued });
        bars.apply(
          snapshotAt(at, {
            queue: requests.flatMap(({ start, wait }, id) =>
              start <= at && at < start + wait && next() > 0 ? [waiting(String(id), common(start))] : [],
            ),
            running: requests.flatMap(({ start, wait, length, target }, id) => {
              const started_at_ms = start + wait;
              const runs = started_at_ms <= at && at < started_at_ms + length && next() > 0;
              return runs ? [running(String(id), { ...common(start), started_at_ms, target })] : [];
            }),
            ended: requests.flatMap(({ start, wait, length, target, receipt: comes }, id) => {
              const ended_at_ms = start + wait + length;
              if (!comes || ended_at_ms > at || ended_at_ms <= at - 250) return [];
              const times = { enqueued_at_ms: start, started_at_ms: start + wait, ended_at_ms };
              return [
                receipt(String(id), {
                  received_at_ms: start,
                  ended_at_ms,
                  attempts: [attempt({ ...times, target })],
                }),
              ];
            }),
          }),
        );
        const stretches = all(bars).flatMap(({ queueLane, enqueuedAt, startedAt, endedAt }) =>
          queueLane === null ? [] : [{ queueLane, start: enqueuedAt, end: startedAt ?? endedAt }],
        );
        for (const [index, first] of stretches.entries())
          for (const second of stretches.slice(index + 1))
            if (first.queueLane === second.queueLane) expect(overlaps(first, second)).toBe(false);
      }
    }),
    { numRuns: 60 },
  );
});
