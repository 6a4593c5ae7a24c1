/** Over Node's own server, whose parser goes on with a connection that it has reported late: what comes of what arrives after that. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import type { RequestRecord } from '../../../src/core/request-trace.ts';
import type { RequestContext } from '../../../src/http/context.ts';
import { answerClientError } from '../../../src/http/errors.ts';
import { OpenRequests } from '../../../src/http/open-requests.ts';
import { protocolAt } from '../../../src/http/routes/protocols.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { oneConnectionTo } from '../../support/one-connection.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const headOf = (length: number) => `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`;
const TOO_LATE = Object.assign(new Error('too late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });

/** One connection to a server whose turns end when the test says so; `report` does what Node does with a late one. */
async function connected(serve: (context: RequestContext) => void = (context) => context.answerJson(200, 1)) {
  const clock = new FakeClock();
  const reported: RequestRecord[] = [];
  const telemetry = { requestEnded: (record: RequestRecord) => reported.push(record) } as never;
  const openRequests = new OpenRequests({
    ...{ clock, telemetry, log: { warn: () => {} } as never },
    settings: { trustedProxies: [], trustedHops: 1, stalledReaderMs: 30_000 },
    draining: () => false,
  });
  const server = createServer((request, response) => serve(openRequests.open(request, response)));
  server.on('clientError', answerClientError({ clock, telemetry, openRequests, protocolAt }));
  const { client, socket, received: text } = await oneConnectionTo(server);
  const statuses = () => [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  return {
    ...{ clock, client, socket, reported, statuses },
    report: () => server.emit('clientError', TOO_LATE, socket),
    answered: (expected: readonly number[]) => expect.poll(() => statuses()).toEqual(expected),
    received: (bytes: number) => expect.poll(() => socket.bytesRead).toBe(bytes),
  };
}

it('a request that came and was answered while its late connection waited is the end of it: the next one is served', async () => {
  const { clock, client, report, answered, reported } = await connected();
  report();
  client.write(GET);
  await answered([200]);
  await clock.settle();
  client.write(GET);
  await answered([200, 200]);
  const statuses = async () => {
    await clock.settle();
    return reported.map(({ status }) => status);
  };
  await expect.poll(statuses).toEqual([200, 200]);
});

it('so is it where a part of the next one is there already: the time of that one has begun anew', async () => {
  const { clock, client, report, answered, received } = await connected();
  report();
  client.write(GET);
  await answered([200]);
  client.write(GET.slice(0, 20));
  await received(GET.length + 20);
  await clock.settle();
  client.write(GET.slice(20));
  await answered([200, 200]);
});

it('and where the next one has come up to its body', async () => {
  const { clock, client, report, answered, received } = await connected((context) => {
    if (context.request.method === 'GET') context.answerJson(200, 1);
    else context.request.once('end', () => context.answerJson(201, 1)).resume();
  });
  report();
  client.write(GET);
  await answered([200]);
  client.write(headOf(4));
  await received(GET.length + headOf(4).length);
  await clock.settle();
  client.write('1234');
  await answered([200, 201]);
});

it('one that was answered before its body had come, and whose body came then, is served too', async () => {
  const { clock, client, report, answered, received } = await connected();
  report();
  client.write(headOf(4));
  await answered([200]);
  client.write('1234');
  await received(headOf(4).length + 4);
  await clock.settle();
  client.write(GET);
  await answered([200, 200]);
});

it('one whose body never comes is ended, although it was answered', async () => {
  const { clock, client, report, answered, statuses } = await connected();
  report();
  client.write(headOf(4));
  await answered([200]);
  await clock.settle();
  await once(client, 'close');
  expect(statuses()).toEqual([200, 408]);
});

it('one behind an answer that is under way is served where it comes while the connection waits', async () => {
  const asked: RequestContext[] = [];
  const { clock, client, report, answered } = await connected((context) => asked.push(context));
  client.write(GET + GET.slice(0, 20));
  await expect.poll(() => asked).toHaveLength(1);
  report();
  client.write(GET.slice(20));
  await expect.poll(() => asked).toHaveLength(2);
  await clock.settle();
  for (const context of asked) context.answerJson(200, 1);
  await answered([200, 200]);
});
