import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import type { RequestContext } from '../../../src/http/context.ts';
import { OpenRequests } from '../../../src/http/open-requests.ts';
import { whenInTurn } from '../../../src/http/pipelined-requests.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { oneConnectionTo } from '../../support/one-connection.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** One connection to a server that answers when the test does. */
async function connected(serve: (context: RequestContext) => void = () => {}) {
  const opened: RequestContext[] = [];
  const openRequests = new OpenRequests({
    ...{ clock: new FakeClock(), telemetry: {} as never, log: { warn: () => {} } as never },
    settings: { trustedProxies: [], trustedHops: 1, stalledReaderMs: 30_000 },
    draining: () => false,
  });
  const server = createServer((request, response) => {
    const context = openRequests.open(request, response);
    opened.push(context);
    serve(context);
  });
  const { client, socket, received } = await oneConnectionTo(server);
  const answers = () => [...received().matchAll(/HTTP\/1\.1 200/g)].length;
  return { client, socket, opened, answers };
}

test('while 64 wait behind the one that is served, nothing more is read of the connection', async () => {
  const { client, socket, opened, answers } = await connected();
  client.write(GET.repeat(64));
  await expect.poll(() => opened.length).toBe(64);
  expect(socket.isPaused()).toBe(false);
  client.write(GET);
  await expect.poll(() => opened.length).toBe(65);
  expect(socket.isPaused()).toBe(true);
  client.write(GET.repeat(200));
  for (const context of opened.splice(0)) context.answerJson(200, 1);
  await expect.poll(() => opened.length).toBeGreaterThan(0);
  const answerAll = () => {
    for (const context of opened.splice(0)) context.answerJson(200, 1);
    return answers();
  };
  await expect.poll(answerAll).toBe(265);
  expect(socket.isPaused()).toBe(false);
});

test('an answer that is made in turn is not begun before those ahead of it have left', async () => {
  const begun: RequestContext[] = [];
  const { client, opened, answers } = await connected((context) =>
    whenInTurn(context, () => void begun.push(context)),
  );
  client.write(GET.repeat(3));
  await expect.poll(() => opened.length).toBe(3);
  for (const count of [1, 2, 3]) {
    await expect.poll(() => begun.length).toBe(count);
    begun.at(-1)?.answerJson(200, 1);
  }
  await expect.poll(answers).toBe(3);
});

test('it is never begun where the connection is lost before, and is closed', async () => {
  const begun: RequestContext[] = [];
  const { client, opened } = await connected((context) =>
    whenInTurn(context, () => void begun.push(context)),
  );
  client.write(GET.repeat(2));
  await expect.poll(() => opened.length).toBe(2);
  client.destroy();
  await expect.poll(() => opened.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  expect(begun).toEqual(opened.slice(0, 1));
});
