/**
 * Over Node's own server: what becomes of a connection whose next request is late or no HTTP. Its parser goes on with one that it has
 * reported late, and the answers to what came before may still be under way.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../../src/core/request-trace.ts';
import { answerClientError } from '../../../src/http/client-errors.ts';
import type { RequestContext } from '../../../src/http/context.ts';
import { OpenRequests } from '../../../src/http/open-requests.ts';
import { protocolAt } from '../../../src/http/routes/protocols.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { oneConnectionTo } from '../../support/one-connection.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const headOf = (length: number) => `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`;
const REQUEST_TIMEOUT_MS = 15_000;
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
  const parts = { clock, telemetry, openRequests, protocolAt };
  const server = createServer((request, response) => serve(openRequests.open(request, response)));
  server.on('clientError', answerClientError({ ...parts, requestTimeoutMs: REQUEST_TIMEOUT_MS }));
  const { client, socket, received: text } = await oneConnectionTo(server);
  const statuses = () => [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  return {
    ...{ clock, client, socket, reported, statuses, text },
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

const GARBAGE = 'no HTTP at all\r\n\r\n';

/** The same, with answers that the test gives. */
async function asked() {
  const open: RequestContext[] = [];
  const connection = await connected((context) => open.push(context));
  return {
    ...{ ...connection, open },
    came: (count: number) => expect.poll(() => open.length).toBe(count),
    /** In the order of their numbers. */
    statusesReported: async () => {
      await connection.clock.settle();
      return connection.reported.map(({ status }) => status).sort((one, other) => one - other);
    },
  };
}

describe('a request that is late behind answers under way', () => {
  it('is not late while so many wait that the connection is not read', async () => {
    const { clock, client, socket, report, answered, open, came, statuses } = await asked();
    client.write(GET.repeat(65) + GET.slice(0, 20));
    await came(65);
    expect(socket.isPaused()).toBe(true);
    report();
    client.write(GET.slice(20));
    await clock.advance(10 * REQUEST_TIMEOUT_MS);
    expect(statuses()).toEqual([]);
    expect(socket.writable).toBe(true);
    for (const context of open) context.answerJson(200, 1);
    await came(66);
    open.at(-1)?.answerJson(200, 1);
    await answered(Array.from({ length: 66 }, () => 200));
  });

  it('is answered after them, when it has had its time from then on', async () => {
    const { clock, client, socket, report, answered, open, came, statusesReported } = await asked();
    client.write(GET + GET.slice(0, 20));
    await came(1);
    report();
    await clock.advance(10 * REQUEST_TIMEOUT_MS);
    open[0]?.begin(200);
    open[0]?.write('begun');
    await clock.advance(10 * REQUEST_TIMEOUT_MS);
    open[0]?.end('and ended');
    await answered([200]);
    await expect.poll(() => open[0]?.isClosed).toBe(true);
    await clock.advance(REQUEST_TIMEOUT_MS - 1);
    expect(socket.writable).toBe(true);
    await clock.advance(1);
    await answered([200, 408]);
    await expect.poll(() => client.closed).toBe(true);
    await expect.poll(statusesReported).toEqual([200, 408]);
  });

  it('is answered in its turn, where it lacks its body', async () => {
    const { clock, client, report, answered, open, came, statuses, statusesReported } = await asked();
    client.write(GET + headOf(4));
    await came(2);
    report();
    await clock.advance(10 * REQUEST_TIMEOUT_MS);
    expect(statuses()).toEqual([]);
    open[0]?.answerJson(200, 1);
    await expect.poll(() => open[0]?.isClosed).toBe(true);
    await clock.advance(REQUEST_TIMEOUT_MS);
    await answered([200, 408]);
    await expect.poll(() => client.closed).toBe(true);
    await expect.poll(statusesReported).toEqual([200, 408]);
  });

  it('is served where it comes before its time is over', async () => {
    const { clock, client, report, answered, open, came } = await asked();
    client.write(GET + GET.slice(0, 20));
    await came(1);
    report();
    await clock.settle();
    open[0]?.answerJson(200, 1);
    await expect.poll(() => open[0]?.isClosed).toBe(true);
    await clock.advance(REQUEST_TIMEOUT_MS - 1);
    client.write(GET.slice(20));
    await came(2);
    open[1]?.answerJson(200, 1);
    await answered([200, 200]);
    await clock.advance(REQUEST_TIMEOUT_MS);
    client.write(GET);
    await came(3);
  });
});

describe('what is no HTTP, behind answers under way', () => {
  it('is answered after them, however much of it comes', async () => {
    const { client, answered, received, open, came, text, statuses, statusesReported } = await asked();
    client.write(GET + GET);
    await came(2);
    open[0]?.begin(200);
    open[0]?.write('begun');
    await answered([200]);
    for (let count = 1; count <= 3; count += 1) {
      client.write(GARBAGE);
      await received(2 * GET.length + count * GARBAGE.length);
    }
    open[0]?.end(' and ended');
    await expect.poll(text).toContain(' and ended');
    expect(statuses()).toEqual([200]);
    open[1]?.answerJson(200, 1);
    await answered([200, 200, 400]);
    await expect.poll(() => client.closed).toBe(true);
    await expect.poll(statusesReported).toEqual([200, 200, 400]);
  });

  it('is answered in its turn, where it is the body of a request', async () => {
    const { client, answered, received, open, came, statusesReported } = await asked();
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
    client.write(GET + head);
    await came(2);
    client.write(GARBAGE);
    await received((GET + head + GARBAGE).length);
    open[0]?.answerJson(200, 1);
    await answered([200, 400]);
    await expect.poll(() => client.closed).toBe(true);
    await expect.poll(statusesReported).toEqual([200, 400]);
  });
});

it('a client that ends its side in the middle of a request has left, whatever is under way', async () => {
  const { client, open, came } = await asked();
  client.write(GET + GET.slice(0, 20));
  await came(1);
  client.end();
  await expect.poll(() => open[0]?.isClosed).toBe(true);
  expect(open[0]?.isAnswered).toBe(false);
});
