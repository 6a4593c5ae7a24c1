/**
 * Attacks, as `npm run bench -- floods` makes them, in small: a client that behaves is answered all the while, and what an attack can
 * occupy is bounded. How fast that is belongs to the benchmark.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { ask } from '../support/http-client.ts';
import { keepAliveClient } from '../support/keep-alive-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

const KEY = 'the-key-of-the-client-that-behaves';
const ATTACKER = 'the-key-of-readers-that-do-not-read';
const BODY = JSON.stringify({ prompt: 'hello' });

async function start(flags: readonly string[] = [], target: Readonly<Record<string, unknown>> = {}) {
  const keys = ['--auth.api-keys', JSON.stringify([KEY, ATTACKER]), '--rate-limit.enabled', 'false'];
  const server = await startServer({
    flags: [...scriptedFlags({ target }), ...keys, ...flags],
    endsWith: onTestFinished,
  });
  const client = keepAliveClient(server);
  onTestFinished(() => client.close());
  const behaves = async () =>
    (await client.post('/generate', BODY, { authorization: `Bearer ${KEY}` })).status;
  return { server, client, behaves };
}

/** A connection of an attacker: opened, and with what is to be sent on it sent. */
function open(server: ComposedServer, bytes = ''): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.write(bytes);
      resolve(socket);
    });
  });
}

/** The sum over all labels. */
async function metric(server: ComposedServer, name: string): Promise<number> {
  const { text } = await ask(`${server.url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } });
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
  expect(lines.length).toBeGreaterThan(0);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Generated so far for the attacker's requests, all of which are running. */
async function tokensOf(server: ComposedServer, requests: number): Promise<number> {
  const headers = { accept: 'application/json', authorization: `Bearer ${ATTACKER}` };
  const { running } = (await ask(`${server.url}/live`, { headers })).json<LiveSnapshot>();
  expect(running).toHaveLength(requests);
  return running.reduce((sum, { completion_tokens: tokens }) => sum + tokens, 0);
}

test('keys that nobody has, from many addresses, are refused one like the other, and no valid key with them', async () => {
  const tracked = ['--server.trusted-proxies', '["127.0.0.1"]', '--rate-limit.max-keys', '20'];
  const { server, client, behaves } = await start(tracked);
  const statuses = new Set<number>();
  for (let count = 0; count < 600; count += 1) {
    const answer = await client.post('/generate', BODY, {
      authorization: `Bearer sk-llm-${String(count).padStart(43, 'x')}`,
      'x-forwarded-for': `198.51.100.${count % 60}`,
    });
    statuses.add(answer.status);
    if (count % 20 === 0) expect(await behaves()).toBe(200);
  }
  // The one address has sent a wrong key a few times, the other too often: both are refused.
  expect([...statuses].sort()).toEqual([401, 429]);
  // From an address that has sent too many, a valid key is accepted.
  const late = await ask(`${server.url}/generate`, {
    headers: { authorization: `Bearer ${KEY}`, 'x-forwarded-for': '198.51.100.1' },
    body: { prompt: 'hello' },
  });
  expect(late.status).toBe(200);
});

test('connections that send nothing are bounded, and end by themselves', async () => {
  const bounds = ['--server.max-connections', '60', '--server.body-timeout-seconds', '4'];
  const { server, behaves } = await start(bounds);
  expect(await behaves()).toBe(200);
  const sockets = await Promise.all(Array.from({ length: 100 }, () => open(server)));
  expect(await behaves(), 'on the connection that it has').toBe(200);
  for (const socket of sockets) socket.resume();
  // Those beyond the bound may have been reset already.
  await Promise.all(sockets.map((socket) => socket.destroyed || once(socket, 'close')));
  expect(await behaves()).toBe(200);
  await expect.poll(() => metric(server, 'llm_serve_connections_refused_total')).toBeGreaterThanOrEqual(40);
  await expect.poll(() => metric(server, 'llm_serve_connections')).toBeLessThan(10);
});

test('readers that do not read stop their own answers, hold a bounded part of them, and nobody else', async () => {
  const readers = 8;
  /** About 80 MB of events for each reader: far more than any buffer takes. */
  const tokens = 400_000;
  const target = { slots: readers + 1, context_size: 2 * tokens };
  const { server, behaves } = await start(['--server.stream-buffer-bytes', '4096'], target);
  const messages = [{ role: 'user', content: scripted({ tokens }) }];
  const body = JSON.stringify({ model: 'demo', messages, max_tokens: tokens, stream: true });
  const head = [
    ...['POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'],
    ...[`Authorization: Bearer ${ATTACKER}`, `Content-Length: ${body.length}`],
  ].join('\r\n');
  const sockets = await Promise.all(
    Array.from({ length: readers }, async () => {
      const socket = await open(server, `${head}\r\n\r\n${body}`);
      const first = await new Promise((resolve) => socket.once('data', resolve));
      expect(String(first)).toContain('HTTP/1.1 200');
      return socket.pause();
    }),
  );
  // The buffers of the system and ours take what they take, and then nothing more is generated.
  let before = 0;
  await expect
    .poll(
      async () => {
        const now = await tokensOf(server, readers);
        const isMore = now > before || now === 0;
        before = now;
        return isMore;
      },
      { interval: 500 },
    )
    .toBe(false);
  expect(before).toBeLessThan((readers * tokens) / 2);
  const answered = [await behaves(), await behaves(), await behaves()];
  expect(answered).toEqual([200, 200, 200]);
  expect(await metric(server, 'llm_serve_slots_used')).toBe(readers);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(0);
  expect(await behaves()).toBe(200);
});
