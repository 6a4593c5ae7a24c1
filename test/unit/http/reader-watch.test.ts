/** Readers that are slow, and readers that stop, over real sockets. That a socket's time is up is said by the test, not by a timer. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RequestContext } from '../../../src/http/context.ts';
import { StreamWriter } from '../../../src/http/stream-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** No timer of this length ends during a test. */
const STALLED_MS = 3_600_000;
/** More than the system takes for a client on this machine that reads nothing: the rest waits in the server. */
const BODY = 'abcdefgh'.repeat(4_000_000);
const GET = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

const LAST = 'the last of it';

type Handle = (context: RequestContext, count: number) => void;

/** A server that answers with `handle`, and a client that reads only when it is told to. */
async function start(handle: Handle, stalledMs = STALLED_MS) {
  const contexts: RequestContext[] = [];
  /** Of each answer that is over. */
  const delivered: boolean[] = [];
  const server: Server = createServer((request, response) => {
    const services = {
      ...{ clock: new FakeClock(), draining: () => false, stalledReaderMs: () => stalledMs },
      onClosed: ({ wasCutOff }: RequestContext) => delivered.push(response.writableFinished && !wasCutOff),
    };
    const trace = { requestId: 'r', receivedAt: 0 };
    const identity = { address: '', addressKey: '', trace, path: '/', awaitsContinue: false };
    const context = new RequestContext({ request, response }, services, identity);
    contexts.push(context);
    handle(context, contexts.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
  client.pause();
  const [held] = (await once(server, 'connection')) as [Socket];
  onTestFinished(async () => {
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { server, client, held, contexts, delivered };
}

function stream(told: string[], onDrained = (writer: StreamWriter) => writer.end(LAST)): Handle {
  return (context) => {
    const writer = new StreamWriter({
      ...{ context, clock: new FakeClock(), contentType: 'text/plain' },
      ...{ heartbeat: () => '', heartbeatMs: STALLED_MS, bufferBytes: 1_000_000 },
      onFull: () => told.push('full'),
      onDrained: () => {
        told.push('drained');
        onDrained(writer);
      },
      onStalled: () => told.push('stalled'),
    });
    writer.write(BODY);
  };
}

/** What the socket's timer calls when its time is up. */
const timeIsUp = (socket: Socket) => (Reflect.get(socket, '_onTimeout') as () => void).call(socket);
/** What the system has not taken yet of the write that is under way. */
const untaken = (socket: Socket): number =>
  Reflect.get(Reflect.get(socket, '_handle') ?? {}, 'writeQueueSize') ?? 0;

/** Until the system takes nothing more for a client that does not read. */
async function settled(held: Socket): Promise<void> {
  await expect.poll(() => untaken(held)).toBeGreaterThan(0);
  let turns = 0;
  for (let before = -1; turns < 100; turns += 1) {
    if (untaken(held) !== before) turns = 0;
    before = untaken(held);
    await nextTurn();
  }
}

/** Reads until `done`, in small pieces. */
async function readUntil(client: Socket, done: (text: string) => boolean): Promise<string> {
  let text = '';
  while (!done(text)) {
    const piece = client.read() as Buffer | null;
    if (piece !== null) text += piece.toString('latin1');
    await nextTurn();
  }
  return text;
}

const ANSWERS: Readonly<Record<string, (told: string[]) => { handle: Handle; last: string }>> = {
  'a stream': (told) => ({ handle: stream(told), last: `${LAST}\r\n0\r\n\r\n` }),
  'an answer in one piece': () => ({
    handle: (context) => context.answer(200, BODY + LAST, 'text/plain'),
    last: LAST,
  }),
};

describe.each(Object.entries(ANSWERS))('the reader of %s', (_, answerOf) => {
  it('gets all of it, however slowly, as long as it reads something each time', async () => {
    const told: string[] = [];
    const { handle, last } = answerOf(told);
    const { client, held, delivered } = await start(handle);
    client.write(GET);
    await settled(held);
    expect(held.timeout).toBe(STALLED_MS);
    let got = '';
    let times = 0;
    while (untaken(held) > 0) {
      timeIsUp(held);
      expect(held.destroyed).toBe(false);
      times += 1;
      const before = untaken(held);
      got += await readUntil(client, () => untaken(held) !== before);
    }
    expect(times, 'as often as the time was up').toBeGreaterThan(3);
    got += await readUntil(client, (text) => (got.slice(-100) + text).endsWith(last));
    expect(got.length).toBeGreaterThan(BODY.length);
    expect(told).not.toContain('stalled');
    await expect.poll(() => delivered).toEqual([true]);
  });

  it('is disconnected when it reads nothing, though it goes on to send what is no request', async () => {
    const { client, held, delivered } = await start(answerOf([]).handle, 200);
    client.write(GET);
    await settled(held);
    // Empty lines before a request are allowed, and no request whose head is late.
    const sending = setInterval(() => client.write('\r\n'), 20);
    onTestFinished(() => clearInterval(sending));
    await expect.poll(() => delivered).toEqual([false]);
    expect(held.destroyed).toBe(true);
  });

  it('who goes away while nothing is read of it is noticed', async () => {
    const { client, held, delivered } = await start(answerOf([]).handle);
    client.write(GET);
    await settled(held);
    client.destroy();
    await expect.poll(() => delivered).toEqual([false]);
  });

  it('is asked again for what it sent meanwhile', async () => {
    const { handle, last } = answerOf([]);
    const { client, held, contexts } = await start((context, count) => {
      if (count === 1) handle(context, count);
      else context.answer(200, 'second', 'text/plain');
    });
    client.write(GET);
    await settled(held);
    client.write(GET);
    const isOver = () => contexts[1]?.response.writableFinished === true && client.readableLength === 0;
    expect(await readUntil(client, isOver)).toContain(last);
  });

  it('is disconnected when it reads nothing', async () => {
    const told: string[] = [];
    const { client, held, delivered } = await start(answerOf(told).handle);
    client.write(GET);
    await settled(held);
    timeIsUp(held);
    timeIsUp(held);
    await expect.poll(() => delivered).toEqual([false]);
    expect(held.destroyed).toBe(true);
  });
});

it('who was slow with one answer has as long as anybody for the next request', async () => {
  const { server, client, held } = await start((context, count) =>
    context.answer(200, count === 1 ? BODY : 'second', 'text/plain'),
  );
  server.keepAliveTimeout = 72_000;
  client.write(GET);
  await settled(held);
  await readUntil(client, (text) => text.length > BODY.length);
  // Node adds a second to it, in some of its versions.
  await expect.poll(() => held.timeout).toBeOneOf([72_000, 73_000]);
  client.write(GET);
  await readUntil(client, (text) => text.endsWith('second'));
});

describe('a stream that was asked for before the answer ahead of it was complete', () => {
  it('is not watched until its turn has come, and then is', async () => {
    const told: string[] = [];
    const ahead: RequestContext[] = [];
    const { client, held, contexts } = await start((context, count) => {
      if (count === 1) ahead.push(context);
      // Node says `drain` when the stream gets the connection, whatever is left of it: then more is written.
      else stream(told, (writer) => writer.write('more'))(context, count);
    });
    client.write(GET + GET);
    await expect.poll(() => told).toEqual(['full']);
    expect(contexts[1]?.response.socket).toBeNull();
    expect(held.timeout ?? 0).toBe(0);
    ahead[0]?.answer(200, 'first', 'text/plain');
    await settled(held);
    expect(held.timeout).toBe(STALLED_MS);
    timeIsUp(held);
    expect(held.destroyed).toBe(false);
    timeIsUp(held);
    expect(told.at(-1)).toBe('stalled');
    expect(held.destroyed).toBe(true);
  });

  it('is not watched by the watch of the answer ahead', async () => {
    const { client, held, contexts } = await start((context, count) => {
      if (count === 1) context.answer(200, BODY, 'text/plain');
    });
    client.write(GET + GET);
    await settled(held);
    await readUntil(client, (text) => text.length > BODY.length);
    await expect.poll(() => contexts[1]?.response.socket).toBe(held);
    expect(held.timeout).toBe(0);
  });
});
