import { describe, expect, it } from 'vitest';
import type { ServingError } from '../../../src/core/errors.ts';
import type { LiveReader } from '../../../src/core/live-feed.ts';
import type { LiveSnapshot } from '../../../src/core/live-snapshot.ts';
import type { RequestRecord, RequestTrace } from '../../../src/core/request-trace.ts';
import { SnapshotFeed } from '../../../src/telemetry/live-feed.ts';
import { EndedRequests } from '../../../src/telemetry/live-tally.ts';
import { callerNamed } from '../../support/callers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function start({ takesMs = () => 0 }: { takesMs?: (count: number) => number } = {}) {
  const clock = new FakeClock();
  let made = 0;
  const feed = new SnapshotFeed({
    clock,
    version: '1',
    settings: { objectives: {} },
    state: (_, done) => {
      made += 1;
      clock.pass(takesMs(made));
      done({ models: [], targets: [], queue: [], running: [] });
    },
  });
  return { clock, feed, made: () => made };
}

function reader() {
  const got: LiveSnapshot[] = [];
  let heartbeats = 0;
  let hasEnded = false;
  const sink: LiveReader = {
    snapshot: (json) => got.push(JSON.parse(json)),
    heartbeat: () => {
      heartbeats += 1;
    },
    end: () => {
      hasEnded = true;
    },
  };
  return { sink, got, heartbeats: () => heartbeats, hasEnded: () => hasEnded };
}

function ended(requestId: string, caller: string, more?: Partial<RequestTrace>): RequestRecord {
  const fields = more ?? { model: 'm', errorCode: 'queue_full' };
  const trace = { requestId, receivedAt: 0, caller: callerNamed(caller), ...fields };
  return { method: 'POST', path: '/', route: '/', status: 503, clientAddress: '', trace, endedAt: 0 };
}

it('makes nothing while nobody looks, and one snapshot for all who see the same', async () => {
  const { clock, feed, made } = start();
  await clock.advance(60_000);
  expect(made()).toBe(0);
  const readers = [reader(), reader(), reader()];
  for (const { sink } of readers) feed.watch({ owner: undefined, intervalMs: 100 }, sink);
  const before = made();
  feed.requestEnded(ended('r', 'a'));
  await clock.advance(100);
  expect(made() - before).toBe(1);
  for (const { got } of readers) expect(got.at(-1)?.ended).toMatchObject([{ request_id: 'r' }]);
});

it('sends what has changed, else a heartbeat, and keeps the newest 200 that have ended', async () => {
  const { clock, feed } = start();
  const { sink, got, heartbeats } = reader();
  feed.watch({ owner: 'key_a', intervalMs: 100 }, sink);
  for (let count = 0; count < 1000; count += 1)
    feed.requestEnded(ended(`r${count}`, count < 500 ? 'a' : 'b'));
  await clock.advance(100);
  expect(got.at(-1)).toMatchObject({
    sequence: 1,
    ended_omitted: 300,
    sums: { rejected: { queue_full: 1000 } },
  });
  expect(
    got
      .at(-1)
      ?.ended.map(({ request_id }) => request_id)
      .at(-1),
  ).toBe('r499');
  await clock.advance(120_000);
  const quiet = heartbeats();
  await clock.advance(10_000);
  expect(heartbeats() - quiet).toBe(2);
});

it('an idle server sends its first snapshot once', async () => {
  const { clock, feed } = start();
  const { sink, got, heartbeats } = reader();
  feed.watch({ owner: undefined, intervalMs: 250 }, sink);
  await clock.advance(5000);
  expect(got.map(({ sequence }) => sequence)).toEqual([0]);
  expect(heartbeats()).toBe(1);
});

it('receipts are those of requests to models: what scanners try is not among them', async () => {
  const { clock, feed } = start();
  const { sink, got } = reader();
  feed.watch({ owner: undefined, intervalMs: 100 }, sink);
  feed.requestEnded(ended('scanner', 'a', { errorCode: 'not_found' }));
  feed.requestEnded(ended('wrong-key', 'a', { errorCode: 'invalid_api_key' }));
  feed.requestEnded(ended('limited', 'a', { errorCode: 'rate_limited' }));
  feed.requestEnded(ended('failed', 'a', { model: 'm', errorCode: 'backend_error' }));
  await clock.advance(100);
  expect(got.flatMap((each) => each.ended.map(({ request_id }) => request_id))).toEqual([
    'limited',
    'failed',
  ]);
});

it('intervals are rounded up to a few, so that all who see the same share a few snapshots', async () => {
  const { clock, feed, made } = start();
  for (const intervalMs of [251, 300, 499, 500]) feed.watch({ owner: undefined, intervalMs }, reader().sink);
  const before = made();
  await clock.advance(500);
  expect(made() - before).toBe(1);
});

it('snapshots that take long are made less often: 1 % of the time for one audience, 5 % for all', async () => {
  const alone = start({ takesMs: () => 10 });
  alone.feed.watch({ owner: undefined, intervalMs: 100 }, reader().sink);
  await alone.clock.advance(20_000);
  const before = alone.made();
  await alone.clock.advance(100_000);
  expect((alone.made() - before) * 10).toBeLessThanOrEqual(1000);

  const many = start({ takesMs: () => 10 });
  for (let owner = 0; owner < 24; owner += 1)
    many.feed.watch({ owner: String(owner), intervalMs: 100 }, reader().sink);
  await many.clock.advance(10_000);
  const earlier = many.made();
  await many.clock.advance(100_000);
  const spentMs = (many.made() - earlier) * 10;
  expect(spentMs).toBeGreaterThan(3000);
  expect(spentMs).toBeLessThanOrEqual(5200);
});

it.each([2, 3, 5])('also where only one of %i takes long', async (every) => {
  const takesMs = (count: number) => (count % every === 0 ? 50 : 1);
  const { clock, feed, made } = start({ takesMs });
  feed.watch({ owner: undefined, intervalMs: 100 }, reader().sink);
  await clock.advance(60_000);
  const before = made();
  await clock.advance(600_000);
  let spentMs = 0;
  for (let count = before; count < made(); count += 1) spentMs += takesMs(count);
  expect(spentMs).toBeLessThanOrEqual(6_600);
});

it('one that took long, as where something else ran in between, does not make the picture stand still', async () => {
  const { clock, feed, made } = start({ takesMs: (count) => (count === 5 ? 60 : 1) });
  feed.watch({ owner: undefined, intervalMs: 250 }, reader().sink);
  let longestMs = 0;
  let lastAt = clock.now();
  for (let before = made(); clock.now() < 20_000; before = made()) {
    await clock.advance(50);
    if (made() === before) continue;
    longestMs = Math.max(longestMs, clock.now() - lastAt);
    lastAt = clock.now();
  }
  expect(longestMs).toBeLessThanOrEqual(1000);
});

it('receipts are sent once, with no further snapshot that has none', async () => {
  const { clock, feed } = start();
  const { sink, got } = reader();
  feed.watch({ owner: undefined, intervalMs: 100 }, sink);
  feed.requestEnded(ended('r', 'a'));
  await clock.advance(900);
  expect(got.map((each) => each.ended.length)).toEqual([0, 1]);
});

describe('places', () => {
  const codeOf = (act: () => unknown): unknown => {
    try {
      act();
    } catch (error) {
      return (error as ServingError).code;
    }
    return undefined;
  };

  it('one key has at most 4, at whatever intervals, and keeps no other key and no admin out', () => {
    const { feed } = start();
    const watch = (owner: string | undefined, intervalMs = 100) => {
      let leave = () => {};
      const code = codeOf(() => {
        leave = feed.watch({ owner, intervalMs }, reader().sink);
      });
      return { code, leave };
    };
    const first = watch('greedy', 100);
    for (const interval of [250, 500, 5000]) expect(watch('greedy', interval).code).toBeUndefined();
    expect(watch('greedy', 1000).code).toBe('server_busy');
    expect(watch('other').code).toBeUndefined();
    first.leave();
    expect(watch('greedy', 1000).code).toBeUndefined();
    for (let at = 0; at < 19; at += 1) expect(watch(`key ${at}`).code).toBeUndefined();
    expect(watch('one more').code).toBe('server_busy');
    for (let at = 0; at < 8; at += 1) expect(watch(undefined).code).toBeUndefined();
    expect(watch(undefined).code).toBe('server_busy');
  });

  it('all can be disconnected and come back; once the feed is closed, the server is shutting down', () => {
    const { feed } = start();
    const [one, other] = [reader(), reader()];
    feed.watch({ owner: undefined, intervalMs: 100 }, one.sink);
    feed.watch({ owner: 'key_a', intervalMs: 100 }, other.sink);
    feed.disconnectAll();
    expect([one.hasEnded(), other.hasEnded()]).toEqual([true, true]);
    const again = reader();
    feed.watch({ owner: 'key_a', intervalMs: 100 }, again.sink);
    feed.close();
    expect(again.hasEnded()).toBe(true);
    expect(codeOf(() => feed.watch({ owner: 'key_a', intervalMs: 100 }, reader().sink))).toBe('draining');
  });
});

it('receipts of several processes come in the order in which the requests ended', async () => {
  const { clock, feed } = start();
  const { sink, got } = reader();
  feed.watch({ owner: undefined, intervalMs: 100 }, sink);
  const workers = [
    ['a', 10, 30],
    ['b', 20, 40],
  ] as const;
  for (const [name, ...times] of workers) {
    const worker = new EndedRequests({ objectives: {} });
    worker.listen(true);
    for (const endedAt of times) worker.requestEnded({ ...ended(`${name}${endedAt}`, name), endedAt });
    const taken = worker.take({ offsetMs: 0, clientName: (client) => client });
    if (taken !== undefined) feed.othersEnded(taken);
  }
  await clock.advance(100);
  expect(got.at(-1)?.ended.map(({ request_id }) => request_id)).toEqual(['a10', 'b20', 'a30', 'b40']);
  expect(got.at(-1)?.sums.rejected).toEqual({ queue_full: 4 });
});
