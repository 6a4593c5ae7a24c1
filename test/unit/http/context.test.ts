/** Over Node's own server: what its responses do with what the context writes is the point. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { formatMs } from '../../../src/core/request-trace.ts';
import { type EdgeRoute, pageRoute, RequestContext } from '../../../src/http/context.ts';
import { attemptOf } from '../../support/attempt.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** One request to a server that answers with `handle`: the writes to the socket, and what came of them. */
async function exchange(request: string, handle: (context: RequestContext) => void) {
  const writes: string[] = [];
  const closed: RequestContext[] = [];
  const server = createServer((incoming, response) => {
    recordWrites(incoming.socket, writes);
    const services = {
      clock: new FakeClock(),
      draining: () => false,
      stalledReaderMs: () => 30_000,
      onClosed: (context: RequestContext) => closed.push(context),
    };
    const trace = { requestId: 'r', receivedAt: 0 };
    const identity = { address: '', addressKey: '', path: '/', awaitsContinue: false, trace };
    handle(new RequestContext({ request: incoming, response }, services, identity));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  closing.push(() => {
    socket.destroy();
    server.close();
  });
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  socket.write(request);
  await once(socket, 'close');
  return { text, writes, closed };
}

function recordWrites(socket: Socket, writes: string[]): void {
  const handle = Reflect.get(socket, '_handle') as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ['writeUtf8String', 'writeLatin1String', 'writeAsciiString', 'writeBuffer', 'writev']) {
    const write = handle[name];
    if (write === undefined) continue;
    handle[name] = (...args) => {
      writes.push(name);
      return write.apply(handle, args);
    };
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const HEAD = GET.replace('GET', 'HEAD');

describe('an answer', () => {
  it('leaves with its head in one write of one piece', async () => {
    const { text, writes } = await exchange(GET, (context) => context.answerJson(200, { text: 'grün' }));
    expect(writes).toHaveLength(1);
    expect(writes).not.toContain('writev');
    expect(text).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json; charset=utf-8\r\nx-request-id: r\r\n/,
    );
    expect(text).toMatch(/content-length: 16(?:\r\n.+)*\r\n\r\n\{"text":"grün"\}$/);
  });

  it('to HEAD is its head alone, with the length of the body', async () => {
    const { text } = await exchange(HEAD, (context) => context.answer(200, 'body', 'text/plain'));
    expect(text).toContain('content-length: 4\r\n');
    expect(text).toMatch(/\r\n\r\n$/);
  });

  it('without a body has neither length nor type', async () => {
    const { text } = await exchange(GET, (context) => context.answer(204));
    expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
    expect(text).not.toMatch(/^(content-|transfer-encoding)/im);
  });

  it('is given once', async () => {
    const { text } = await exchange(GET, (context) => {
      context.answer(200, 'first', 'text/plain');
      context.answer(500, 'second', 'text/plain');
    });
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text).toMatch(/first$/);
  });

  it('has a header that is set twice once, at its first place', async () => {
    const { text } = await exchange(GET, (context) => {
      context.setHeader('vary', 'Origin');
      context.setHeader('retry-after', '1');
      context.setHeader('vary', 'Accept');
      context.answer(503, '', 'text/plain');
    });
    expect(text).toContain('\r\nvary: Accept\r\nretry-after: 1\r\n');
    expect(text).not.toContain('Origin');
  });
});

describe('a body in pieces', () => {
  const stream = (context: RequestContext) => {
    context.begin(200, ['content-type', 'text/plain']);
    context.write('grün');
    context.write('b');
    context.end('c');
  };

  it('is a chunk and a write for each, the head with the first', async () => {
    const { text, writes } = await exchange(GET, stream);
    expect(text).toMatch(/\r\ntransfer-encoding: chunked\r\n/i);
    expect(text).toMatch(/\r\n\r\n5\r\ngrün\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n$/);
    expect(writes).toHaveLength(3);
    expect(writes).not.toContain('writev');
  });

  it('may end with nothing more', async () => {
    const { text } = await exchange(GET, (context) => {
      context.begin(200);
      context.end('');
    });
    expect(text).toMatch(/\r\n\r\n0\r\n\r\n$/);
  });

  it('has no chunks for a client of HTTP/1.0, and ends with the connection', async () => {
    const { text } = await exchange('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', stream);
    expect(text).not.toMatch(/transfer-encoding/i);
    expect(text).toMatch(/\r\n\r\ngrünbc$/);
  });

  it('waits for the answers before it, and leaves the connection to those after it', async () => {
    const contexts: RequestContext[] = [];
    const answerInReverse = (context: RequestContext) => {
      contexts.push(context);
      if (contexts.length === 3) for (const each of contexts.toReversed()) stream(each);
    };
    const keptAlive = GET.replace('close', 'keep-alive');
    const { text } = await exchange(keptAlive + keptAlive + GET, answerInReverse);
    expect(text.match(/\r\n\r\n5\r\ngrün\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n(?=HTTP|$)/g)).toHaveLength(3);
  });
});

describe('the end of a response', () => {
  it('is told once to everybody who asked, by one listener', async () => {
    const told: string[] = [];
    let listeners = 0;
    const { closed } = await exchange(GET, (context) => {
      const removed = () => told.push('removed');
      const before = context.response.listenerCount('close');
      context.onClose(() => told.push('one'));
      context.onClose(removed);
      context.onClose(() => told.push('other'));
      context.offClose(removed);
      listeners = context.response.listenerCount('close') - before;
      context.answer(200, 'x', 'text/plain');
    });
    expect(told).toEqual(['one', 'other']);
    expect(closed).toHaveLength(1);
    expect(listeners).toBe(0);
  });
});

it.each([
  [0, '0.00'],
  [-1, '0.00'],
  [0.004, '0.00'],
  [0.005, '0.01'],
  [0.999, '1.00'],
  [12.3, '12.30'],
  [60_000.07, '60000.07'],
])('%d ms is written %s', (milliseconds, text) => {
  expect(formatMs(milliseconds)).toBe(text);
});

describe('the headers of a route that asks a model', () => {
  const route: EdgeRoute = { ...pageRoute('/', () => {}), asksModel: true };
  const attempt = attemptOf();

  const headersOf = async (model: string, attempts: number, servedModel?: string) => {
    const { text } = await exchange(GET, (context) => {
      context.match = { route, params: {} };
      context.trace.model = model;
      if (attempts > 0)
        context.trace.attempts = Array.from({ length: attempts }, () => ({ ...attempt, model }));
      if (servedModel !== undefined) context.trace.servedModel = servedModel;
      context.answer(200, 'x');
    });
    return text;
  };

  it('tell how often a target was asked, and the model that answers', async () => {
    expect(await headersOf('m', 1)).toMatch(/x-attempts: 1\r\nx-served-model: m\r\n/);
    expect(await headersOf('m', 2, 'spare')).toMatch(/x-attempts: 2\r\nx-served-model: spare\r\n/);
  });

  it('tell that no target was asked', async () => {
    const text = await headersOf('m', 0);
    expect(text).toContain('x-attempts: 0\r\n');
    expect(text).not.toContain('x-served-model');
  });

  it('hold any name of a model', async () => {
    expect(await headersOf('模型/ü b', 1)).toContain('x-served-model: %E6%A8%A1%E5%9E%8B/%C3%BC%20b\r\n');
  });
});
