import { expect, it } from 'vitest';
import type { LiveReader } from '../../../src/core/live-feed.ts';
import type { LiveSnapshot } from '../../../src/core/live-snapshot.ts';
import type { RequestRecord } from '../../../src/core/request-trace.ts';
import { SnapshotFeed } from '../../../src/telemetry/live-feed.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function start() {
  const clock = new FakeClock();
  let made = 0;
  const feed = new SnapshotFeed({
    clock,
    version: '1',
    settings: { objectives: {} },
    state: () => {
      made += 1;
      return { models: [], targets: [], queue: [], running: [] };
    },
  });
  return { clock, feed, made: () => made };
}

function reader() {
  const got: LiveSnapshot[] = [];
  let heartbeats = 0;
  const sink: LiveReader = {
    snapshot: (json) => got.push(JSON.parse(json)),
    heartbeat: () => {
      heartbeats += 1;
    },
    end: () => {},
  };
  return { sink, got, heartbeats: () => heartbeats };
}

function ended(requestId: string, caller: string): RequestRecord {
  const trace = { requestId, receivedAt: 0, caller, model: 'm', errorCode: 'queue_full' as const };
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
  feed.watch({ owner: 'a', intervalMs: 100 }, sink);
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
