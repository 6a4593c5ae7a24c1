import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { RequestContext } from '../../../src/http/context.ts';
import { liveRoutes } from '../../../src/http/routes/live.ts';
import { heldLiveFeed } from '../../support/held-live-feed.ts';

function open() {
  const written: string[] = [];
  let left = () => {};
  let close = () => {};
  let stall: (() => void) | undefined;
  const response = { headersSent: false, destroyed: false, writableLength: 0, destroy: () => close() };
  const context = {
    request: { method: 'GET', headers: {}, url: '/live' },
    response,
    begin: () => {
      response.headersSent = true;
    },
    write: (text: string, onLeft: () => void) => {
      written.push(text);
      response.writableLength = text.length;
      left = () => {
        response.writableLength = 0;
        onLeft();
      };
    },
    watchReader: (onStalled: () => void) => {
      stall = onStalled;
      return {
        cancel: () => {
          stall = undefined;
        },
      };
    },
    onClose: (run: () => void) => {
      close = () => {
        response.destroyed = true;
        run();
      };
    },
  };
  const { live, readers, isWatched } = heldLiveFeed();
  const [route] = liveRoutes({ live });
  void route?.handle(context as unknown as RequestContext);
  const [reader] = readers;
  if (reader === undefined) throw new Error('nobody reads');
  return { written, reader, take: () => left(), watched: () => stall, isWatching: isWatched };
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

it('is watched while a snapshot is on its way, and one that takes nothing is disconnected and leaves the feed', async () => {
  const { reader, take, watched, isWatching } = open();
  await nextTurn();
  reader.snapshot('{}');
  expect(watched()).toBeDefined();
  take();
  expect(watched()).toBeUndefined();
  reader.snapshot('{}');
  expect(isWatching()).toBe(true);
  watched()?.();
  expect(isWatching()).toBe(false);
});
