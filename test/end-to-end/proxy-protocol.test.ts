/** Connections that begin with a PROXY header: whose address counts then, and what becomes of those that may not send one. */
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exchangeBytes, metric } from '../support/http-client.ts';
import type { LogLine } from '../support/log-lines.ts';
import { proxyBlock, proxyLine, rawProxyBlock } from '../support/proxy-header.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer, TEST_WORKERS } from '../support/server.ts';

const TRUSTED = ['--server.trusted-proxies', '["127.0.0.0/8"]', '--auth.allow-open', 'true'];

function start(mode: string, flags: readonly string[] = TRUSTED): Promise<ComposedServer> {
  return startServer({
    flags: [...scriptedFlags(), '--server.proxy-protocol', mode, ...flags],
    endsWith: onTestFinished,
  });
}

const CLIENT = { source: '198.51.100.7', destination: '127.0.0.1' };
const LOCAL = rawProxyBlock({ command: 0, family: 0, body: Buffer.alloc(0) });

function requestOf(path: string, headers: readonly string[] = []): Buffer {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

const generation = (headers: readonly string[] = []) => {
  const body = JSON.stringify({ prompt: 'hi' });
  const lines = [
    ...['POST /generate HTTP/1.1', 'Host: localhost', 'Connection: close', 'Content-Type: application/json'],
    ...[`Content-Length: ${body.length}`, ...headers],
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
};

/** Undefined where the connection was closed without an answer. */
async function statusOf(
  server: ComposedServer,
  ...parts: readonly Uint8Array[]
): Promise<number | undefined> {
  return (await exchangeBytes(server.port, Buffer.concat(parts)).catch(() => undefined))?.status;
}

/** Whom the server takes for the clients of its generations, once it has logged them. */
const clientsOf = (server: ComposedServer) =>
  expect.poll(() =>
    server
      .logs()
      .filter(({ msg, path }) => msg === 'request' && path === '/generate')
      .map(({ clientAddress }) => clientAddress),
  );

test('without keys, who a header names as a client elsewhere is refused, but by what shows nothing', async () => {
  const server = await start('optional', TRUSTED.slice(0, 2));
  expect(await statusOf(server, proxyLine(CLIENT), generation())).toBe(403);
  expect(await statusOf(server, proxyBlock(CLIENT), generation())).toBe(403);
  expect(await statusOf(server, proxyLine(CLIENT), requestOf('/v1/models'))).toBe(403);
  expect(await statusOf(server, proxyLine(CLIENT), requestOf('/health'))).toBe(200);
  expect(await statusOf(server, LOCAL, generation())).toBe(200);
  expect(await statusOf(server, generation())).toBe(200);
});

describe('the client that a PROXY header names is the client of the connection', () => {
  test.each([
    ['version 1', proxyLine(CLIENT), '198.51.100.7'],
    ['version 2', proxyBlock(CLIENT), '198.51.100.7'],
    ['IPv6', proxyBlock({ source: '2001:db8::7', destination: '::1' }), '2001:db8::7'],
    [
      'a header with extensions',
      proxyBlock({ ...CLIENT, extensions: [[4, Buffer.alloc(600)]] }),
      '198.51.100.7',
    ],
    ['LOCAL: the proxy itself', LOCAL, '127.0.0.1'],
    ['UNKNOWN: the proxy itself', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  ])('%s', async (_, header, address) => {
    const server = await start('required');
    expect(await statusOf(server, header, generation())).toBe(200);
    await clientsOf(server).toEqual([address]);
  });

  test('also where the header comes byte by byte, and for every request of the connection', async () => {
    const server = await start('optional');
    const socket = connect(server.port, '127.0.0.1').setNoDelay(true);
    onTestFinished(() => void socket.destroy());
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes;
    });
    for (const byte of proxyBlock(CLIENT)) {
      await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()));
      await new Promise(setImmediate);
    }
    const kept = generation().toString().replace('Connection: close\r\n', '');
    // The header's last byte and what follows, in one packet and in several.
    socket.write(kept + kept.slice(0, 20));
    socket.write(kept.slice(20));
    await expect.poll(() => answer.split('HTTP/1.1 200').length).toBe(3);
    socket.write(generation());
    await new Promise((resolve) => socket.once('close', resolve));
    expect(answer.split('HTTP/1.1 200')).toHaveLength(4);
    await clientsOf(server).toEqual(Array.from({ length: 3 }, () => CLIENT.source));
  });

  test('for its rate limit', async () => {
    const limited = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '1'];
    const server = await start('required', [...TRUSTED, ...limited]);
    const ask = (source: string) => statusOf(server, proxyBlock({ ...CLIENT, source }), generation());
    expect(await ask('198.51.100.7')).toBe(200);
    expect(await ask('198.51.100.7')).toBe(429);
    expect(await ask('198.51.100.8')).toBe(200);
  });

  test('for its connections', async () => {
    const server = await start('optional', [...TRUSTED, '--server.max-connections-per-address', '1']);
    const open = (source: string) => {
      const socket = connect(server.port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.write(Buffer.concat([proxyBlock({ ...CLIENT, source }), requestOf('/health').subarray(0, 10)]));
      return new Promise((resolve) => socket.once('close', resolve));
    };
    // One of the two, whichever has sent its header last.
    await Promise.race([open('198.51.100.7'), open('198.51.100.7')]);
    expect(await metric(server, 'llm_serve_connections_refused_total', 'per_address')).toBe(1);
    expect(await statusOf(server, proxyBlock({ ...CLIENT, source: '198.51.100.8' }), generation())).toBe(200);
  });

  test('not for X-Forwarded-For, which a client can write', async () => {
    const server = await start('required');
    expect(await statusOf(server, proxyLine(CLIENT), generation(['X-Forwarded-For: 203.0.113.9']))).toBe(200);
    await clientsOf(server).toEqual([CLIENT.source]);
    expect(server.logs().filter(({ msg }) => msg.includes('X-Forwarded-For'))).toEqual([]);
  });

  test('X-Forwarded-For counts where the header names a trusted proxy', async () => {
    const server = await start('required');
    const header = proxyLine({ ...CLIENT, source: '127.0.0.5' });
    expect(await statusOf(server, header, generation(['X-Forwarded-For: 203.0.113.9']))).toBe(200);
    await clientsOf(server).toEqual(['203.0.113.9']);
  });

  test('a second header is not one', async () => {
    const server = await start('required');
    expect(await statusOf(server, proxyLine(CLIENT), proxyLine(CLIENT), generation())).toBe(400);
  });
});

describe('a client behind the header is never this machine', () => {
  test.each(['127.0.0.1', '::1'])('not as %s', async (source) => {
    const server = await start('optional', ['--server.trusted-proxies', '["127.0.0.9"]']);
    expect(await statusOf(server, requestOf('/admin/nothing')), 'a program of this machine').toBe(404);
    const proxied = await exchangeBytes(
      server.port,
      Buffer.concat([proxyBlock({ source, destination: source }), requestOf('/admin/nothing')]),
      '127.0.0.9',
    );
    expect(proxied.status).toBe(403);
  });
});

describe('who may not send one', () => {
  test('off: no header is understood', async () => {
    const server = await start('off');
    expect(await statusOf(server, proxyLine(CLIENT), generation())).toBe(400);
  });

  test('optional: from others it is no HTTP; without it they are served', async () => {
    const server = await start('optional', ['--server.trusted-proxies', '["192.0.2.1"]']);
    expect(await statusOf(server, proxyLine(CLIENT), generation())).toBe(400);
    expect(await statusOf(server, generation())).toBe(200);
    await clientsOf(server).toEqual(['127.0.0.1']);
  });

  test('optional: a trusted proxy may leave it out', async () => {
    const server = await start('optional');
    expect(await statusOf(server, generation())).toBe(200);
    expect(await statusOf(server, Buffer.from('\r\n'), generation())).toBe(200);
    await clientsOf(server).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  test.each([
    ['from others, every connection', '["192.0.2.1"]', proxyLine(CLIENT), 'not in server.trusted_proxies'],
    ['a connection without one', '["127.0.0.1"]', Buffer.alloc(0), 'does not begin with a PROXY header'],
    ['a header that is not valid', '["127.0.0.1"]', Buffer.from('PROXY TCP4 x\r\n'), 'not valid'],
  ])(
    'required: %s is closed unanswered, counted, and said once by a process',
    async (_, trusted, header, why) => {
      const server = await start('required', ['--server.trusted-proxies', trusted]);
      for (let count = 0; count < 2; count += 1)
        expect(await statusOf(server, header, generation())).toBeUndefined();
      const isSaid = ({ msg }: LogLine) => msg.includes('server.proxy_protocol');
      expect((await server.logged(isSaid)).msg).toContain(why);
      expect(server.logs().filter(isSaid).length).toBeLessThanOrEqual(TEST_WORKERS);
    },
  );

  test('a connection that never completes its header is closed in time, and at once when the server ends', async () => {
    const server = await start('required', [...TRUSTED, '--server.body-timeout-seconds', '1']);
    const slow = connect(server.port, '127.0.0.1');
    slow.write('PROXY ');
    await new Promise((resolve) => slow.once('close', resolve));
    const silent = connect(server.port, '127.0.0.1');
    const ended = new Promise((resolve) => silent.once('close', resolve));
    await new Promise((resolve) => silent.once('connect', resolve));
    await server.drain();
    await ended;
  });

  test('one that resets in the middle of its header harms nobody', async () => {
    const server = await start('required');
    const leaving = connect(server.port, '127.0.0.1');
    leaving.write('PROXY TCP4 ', () => leaving.resetAndDestroy());
    await new Promise((resolve) => leaving.once('close', resolve));
    expect(await statusOf(server, LOCAL, generation())).toBe(200);
  });
});
