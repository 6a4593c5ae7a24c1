import { expect, it } from 'vitest';
import type { RequestContext } from '../../../src/http/context.ts';
import { liveRoutes } from '../../../src/http/routes/live.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { heldLiveFeed } from '../../support/held-live-feed.ts';

function open() {
  const clock = new FakeClock();
  const written: string[] = [];
  let left = () => {};
  let close = () => {};
  const response = { headersSent: false, destroyed: false, destroy: () => close() };
  const context = {
    request: { method: 'GET', headers: {}, url: '/live' },
    response,
    begin: () => {
      response.headersSent = true;
    },
    write: (text: string, onLeft: () => void) => {
      written.push(text);
      left = onLeft;
    },
    onClose: (run: () => void) => {
      close = () => {
        response.destroyed = true;
        run();
      };
    },
  };
  const { live, readers, isWatched } = heldLiveFeed();
  const [route] = liveRoutes({ clock, live, settings: { stalledReaderMs: 1000 } });
  void route?.handle(context as unknown as RequestContext);
  const [reader] = readers;
  if (reader === undefined) throw new Error('nobody reads');
  return { clock, written, reader, take: () => left(), isWatching: isWatched };
}

it('a reader that does not read has one snapshot on its way, and gets the newest one then', () => {
  const { written, reader, take } = open();
  for (let count = 0; count < 1000; count += 1) reader.snapshot(`{"sequence":${count}}`);
  expect(written).toHaveLength(1);
  take();
  expect(written).toEqual([
    'event: snapshot\ndata: {"sequence":0}\n\n',
    'event: snapshot\ndata: {"sequence":999}\n\n',
  ]);
  take();
  expect(written).toHaveLength(2);
});

it('one that takes nothing for stalledReaderMs is disconnected and leaves the feed', async () => {
  const { clock, reader, isWatching } = open();
  reader.snapshot('{}');
  await clock.advance(999);
  expect(isWatching()).toBe(true);
  await clock.advance(1);
  expect(isWatching()).toBe(false);
});
