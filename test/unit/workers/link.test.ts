import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/system-clock.ts';
import { HostTime, Link } from '../../../src/workers/link.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const opened: { destroy(): void }[] = [];

afterEach(() => {
  for (const each of opened.splice(0)) each.destroy();
});

test('messages of a turn come in their order, in one line', async () => {
  const { near, far } = await pair();
  const lines: string[] = [];
  far.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  const link = new Link<number, never>({
    input: near,
    output: near,
    clock: systemClock,
    onMessage: () => {},
    onEnd: () => {},
  });
  link.send(1);
  link.send(2);
  await expect.poll(() => lines.join('')).toBe('[1,2]\n');
});

test('what is answered at once, and at the end of the turn, goes in one write', async () => {
  const { near, far } = await pair();
  const lines: string[] = [];
  far.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  const link: Link<string, string> = new Link({
    input: near,
    output: near,
    clock: systemClock,
    onMessage: (message) => {
      link.send(`${message} now`);
      systemClock.atEndOfTurn(() => link.send(`${message} later`));
    },
    onEnd: () => {},
  });
  far.write('["one","two"]\n');
  await expect.poll(() => lines).toEqual(['["one now","two now","one later","two later"]\n']);
});

test('a message may come in any number of pieces, several in one', async () => {
  const { near, far } = await pair();
  const taken: unknown[] = [];
  new Link<never, unknown>({
    input: near,
    output: near,
    clock: systemClock,
    onMessage: (message) => taken.push(message),
    onEnd: () => {},
  });
  const bytes = Buffer.from('["grüß",{"a":1}]\n[3]\n');
  for (const byte of bytes) {
    far.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => taken).toEqual(['grüß', { a: 1 }, 3]);
});

test('the end of the other side is told once, and nothing is sent to it', async () => {
  const { near, far } = await pair();
  let ends = 0;
  const link = new Link<string, never>({
    input: near,
    output: near,
    clock: systemClock,
    onMessage: () => {},
    onEnd: () => ends++,
  });
  far.destroy();
  await expect.poll(() => ends).toBe(1);
  link.send('to nobody');
  link.close();
  expect(ends).toBe(1);
});

test('what the other side does not read is known by its size', async () => {
  const { near, far } = await pair();
  far.pause();
  const link = new Link<string, never>({
    input: near,
    output: near,
    clock: systemClock,
    onMessage: () => {},
    onEnd: () => {},
  });
  expect(link.unsentBytes).toBe(0);
  const message = 'x'.repeat(1024 * 1024);
  for (let count = 0; count < 32; count += 1) link.send(message);
  await expect.poll(() => link.unsentBytes).toBeGreaterThan(1024 * 1024);
  far.resume();
  await expect.poll(() => link.unsentBytes).toBe(0);
});

/** Closed while the pipe is full: `take` makes the other end read. */
function closing(prepare: (output: Writable) => void = () => {}) {
  const clock = new FakeClock();
  const taken: string[] = [];
  let take = () => {};
  const output = new Writable({
    write: (chunk: Buffer, _, done) => {
      take = () => {
        taken.push(chunk.toString());
        done();
      };
    },
  });
  const link = new Link<string, never>({
    ...{ input: new PassThrough(), output, clock },
    ...{ onMessage: () => {}, onEnd: () => {} },
  });
  link.send('last words');
  prepare(output);
  let isClosed = false;
  const closed = link.close().then(() => {
    isClosed = true;
  });
  return { clock, taken, closed, isClosed: () => isClosed, take: () => take() };
}

test('one that is closed has said everything before that is over', async () => {
  const { clock, taken, closed, isClosed, take } = closing();
  await clock.advance(900);
  expect(isClosed()).toBe(false);
  take();
  await closed;
  expect(taken).toEqual(['["last words"]\n']);
  expect(clock.pendingTimers).toBe(0);
});

test('that is not waited for longer than a second', async () => {
  const { clock, closed } = closing();
  await clock.advance(1000);
  await closed;
});

test('nor at all where the other end is gone', async () => {
  const { closed } = closing((output) => output.destroy());
  await closed;
});

test('a time of one process is the same time in another', () => {
  const one = new HostTime({ now: () => 10 }, () => 1000);
  const other = new HostTime({ now: () => 700 }, () => 1000);
  expect(other.fromHost(one.toHost(15))).toBe(705);
});

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  opened.push(near, far);
  return { near, far };
}
