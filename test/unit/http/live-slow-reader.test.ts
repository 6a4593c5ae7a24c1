/** A reader of GET /live that does not read, over a real socket: what the server holds for it is one snapshot, and the newest after it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { RequestContext } from '../../../src/http/context.ts';
import { liveRoutes } from '../../../src/http/routes/live.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { heldLiveFeed } from '../../support/held-live-feed.ts';

/** As of a server with many hundred requests. */
const SNAPSHOT_BYTES = 256 * 1024;
/** The system holds a few megabytes of them for the connection, then no more. */
const FILLING = 200;
const FURTHER = 500;

const snapshot = (sequence: number) => `{"sequence":${sequence},"rest":"${'x'.repeat(SNAPSHOT_BYTES)}"}`;

/** The route behind a real server, a client that has asked and reads nothing, and the feed in the hands of the test. */
async function start({ stalledMs }: { readonly stalledMs: number }) {
  const clock = new FakeClock();
  const { live, readers, isWatched } = heldLiveFeed();
  const [route] = liveRoutes({ live });
  const accepted: Socket[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    accepted.push(request.socket);
    const services = { clock, draining: () => false, stalledReaderMs: () => stalledMs, onClosed: () => {} };
    const trace = { requestId: 'r', receivedAt: 0 };
    const identity = {
      address: '127.0.0.1',
      addressKey: '127.0.0.1',
      trace,
      path: '/live',
      awaitsContinue: false,
    };
    void route?.handle(new RequestContext({ request, response }, services, identity));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  client.pause();
  onTestFinished(async () => {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  client.write('GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await once(server, 'request');
  const [reader] = readers;
  const [held] = accepted;
  if (reader === undefined || held === undefined) throw new Error('nobody reads');
  return { client, reader, held, isWatched };
}

/** The next `count` snapshots, one a turn of the event loop. Returns the most bytes that were held for the client in that time. */
async function push({ reader, held }: Awaited<ReturnType<typeof start>>, from: number, count: number) {
  let most = 0;
  for (let sequence = from; sequence < from + count; sequence += 1) {
    reader.snapshot(snapshot(sequence));
    most = Math.max(most, held.writableLength);
    await nextTurn();
  }
  return most;
}

it('a reader that does not read costs the bytes of one snapshot, and gets the newest one when it reads again', async () => {
  const open = await start({ stalledMs: 3_600_000 });
  await push(open, 0, FILLING);
  const { bytesWritten } = open.held;
  const most = await push(open, FILLING, FURTHER);
  expect(open.held.bytesWritten, 'its connection is full').toBe(bytesWritten);
  expect(most).toBeGreaterThan(0);
  expect(most, 'bytes held for it').toBeLessThan(1.1 * SNAPSHOT_BYTES);

  const got: number[] = [];
  let tail = '';
  const newest = new Promise<void>((resolve) => {
    open.client.setEncoding('latin1').on('data', (piece: string) => {
      const text = tail + piece;
      for (const [, digits] of text.matchAll(/"sequence":(\d+),/g))
        if (Number(digits) > (got.at(-1) ?? -1)) got.push(Number(digits));
      tail = text.slice(-100);
      if (got.at(-1) === FILLING + FURTHER - 1) resolve();
    });
  });
  open.client.resume();
  await newest;
  const steps = got.map((sequence, at) => sequence - (got[at - 1] ?? -1));
  // All that the system had taken, in order, and then the newest: what came between is lost.
  expect(steps.slice(0, -1).every((step) => step < FILLING)).toBe(true);
  expect(steps.at(-1)).toBeGreaterThan(FURTHER);
});

it('one that takes nothing for as long as a stalled reader may is disconnected, and nothing is held for it any more', async () => {
  const open = await start({ stalledMs: 50 });
  const closed = once(open.held, 'close');
  await push(open, 0, FILLING);
  await closed;
  expect([open.held.destroyed, open.isWatched()]).toEqual([true, false]);
});
