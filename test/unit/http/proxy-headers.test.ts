/** Over Node's own server: a connection whose PROXY header is read, and of which another process decides later whether it may stay. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { parseRanges } from '../../../src/http/client-address.ts';
import { Listener } from '../../../src/http/listener.ts';
import { ProxyHeaders } from '../../../src/http/proxy-headers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const HEADER = 'PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** A client that has sent this and ended its side; `stays` is the decision. */
async function ended(sent: string) {
  const decisions: (() => void)[] = [];
  let requests = 0;
  const listener = new Listener({
    onRequest: (_, response) => {
      requests += 1;
      response.end('answer');
    },
    prepare: () => {},
    requestTimeoutMs: 30_000,
    proxyHeaders: new ProxyHeaders({
      clock: new FakeClock(),
      log: { warn: () => {} } as never,
      settings: { proxyProtocol: 'required', trustedProxies: parseRanges(['127.0.0.0/8']) },
      timeoutMs: 30_000,
      moveTo: (_socket, _address, stays) => decisions.push(stays),
      onRefused: () => {},
    }),
  });
  const server = createServer((socket) => listener.take(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    allowHalfOpen: true,
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    client.destroy();
    server.close();
    void listener.close();
    listener.closeAllConnections();
  });
  let text = '';
  client.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  client.end(sent);
  await expect.poll(() => decisions.length).toBe(1);
  // The end of the client's side may be read meanwhile; what comes of it does not depend on that.
  for (let turns = 0; turns < 20; turns += 1) await nextTurn();
  return { socket, stays: () => decisions[0]?.(), text: () => text, requests: () => requests };
}

test('a client that ends its side behind the header has left', async () => {
  const { socket, stays, text, requests } = await ended(HEADER);
  stays();
  await expect.poll(() => socket.destroyed).toBe(true);
  expect(text()).toBe('');
  expect(requests()).toBe(0);
});

test('a client that ends its side behind a request gets the answer', async () => {
  const { socket, stays, text, requests } = await ended(HEADER + GET);
  stays();
  await expect.poll(() => socket.destroyed).toBe(true);
  expect(text()).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*answer$/);
  expect(requests()).toBe(1);
});
