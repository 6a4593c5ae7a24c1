/** A client that leaves, or stops reading, gives its slot back at once and is told apart in log and metrics. */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { generate, metric, openAnswer, send } from '../support/http-client.ts';
import { residentBytes } from '../support/process-cost.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const WITHIN = { timeout: 60_000, interval: 20 };

const slotsUsed = (server: RunningServer) => metric(server, 'llm_serve_slots_used');
const waiting = (server: RunningServer) => metric(server, 'llm_serve_requests_waiting');
const cancelled = (server: RunningServer, phase: string) =>
  metric(server, 'llm_serve_cancelled_total', `phase="${phase}"`);

describe('a client that leaves', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    // However long one that waits is predicted to wait, after those that took long.
    const patience = [
      '--scheduler.queue-timeout-ms',
      '3600000',
      '--generation.request-timeout-ms',
      '3600000',
    ];
    server = await startServer({
      flags: [...scriptedFlags({ target: { slots: 1 } }), ...patience],
      endsWith,
    });
  });

  async function expectGone(requestId: string, phase: string): Promise<void> {
    const line = await server.requestLine(requestId);
    expect(line).toMatchObject({ status: 499, errorCode: 'client_gone', cancelPhase: phase });
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
    await expect.poll(() => waiting(server), WITHIN).toBe(0);
    expect(await cancelled(server, phase)).toBeGreaterThanOrEqual(1);
    // The one slot is really free: the next request runs.
    expect((await generate(server, { prompt: 'hi', timeout_ms: 60_000 })).status).toBe(200);
  }

  for (const path of ['/generate', '/stream']) {
    test(`${path}: while it waits in the queue, and the one that runs is not touched`, async () => {
      const running = openAnswer(`${server.url}/generate`, {
        body: { prompt: scripted({ first_token_delay_ms: 4000, text: 'unharmed' }) },
      });
      await expect.poll(() => slotsUsed(server), WITHIN).toBe(1);
      const id = `queued${path.slice(1)}`;
      const queued = send(server.url + path, { headers: { 'x-request-id': id }, body: { prompt: 'hi' } });
      await expect.poll(() => waiting(server), WITHIN).toBe(1);
      queued.destroy();
      await expect.poll(() => waiting(server), WITHIN).toBe(0);
      expect(JSON.parse(await (await running).whole)).toMatchObject({ text: 'unharmed' });
      await expectGone(id, 'queued');
    });

    test(`${path}: before the first token`, async () => {
      const id = `waiting${path.slice(1)}`;
      const sent = send(server.url + path, {
        headers: { 'x-request-id': id },
        body: { prompt: scripted({ fail: 'hang' }) },
      });
      await expect.poll(() => slotsUsed(server), WITHIN).toBe(1);
      sent.destroy();
      await expectGone(id, 'waiting');
    });
  }

  test('with requests that it sent before the first was answered: all of them', async () => {
    const body = JSON.stringify({ prompt: scripted({ fail: 'hang' }) });
    const ids = ['ahead', 'second', 'third'];
    const requests = ids.map(
      (id) =>
        `POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: ${id}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    const socket = createConnection(server.port, '127.0.0.1');
    socket.write(requests.join(''));
    await expect.poll(() => waiting(server), WITHIN).toBe(2);
    socket.destroy();
    await expectGone('ahead', 'waiting');
    for (const id of ids.slice(1))
      expect(await server.requestLine(id)).toMatchObject({ status: 499, errorCode: 'client_gone' });
  });

  test('/stream: after some tokens', async () => {
    const stream = await openAnswer(`${server.url}/stream`, {
      headers: { 'x-request-id': 'mid-stream' },
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    await stream.until((text) => text.includes('two'));
    stream.leave();
    await expectGone('mid-stream', 'streaming');
  });

  test('/generate: after some tokens that it has not seen', async () => {
    const tokens = () => metric(server, 'llm_serve_inter_token_latency_seconds_count');
    const before = await tokens();
    const sent = send(`${server.url}/generate`, {
      headers: { 'x-request-id': 'mid-generate' },
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    await expect.poll(tokens, WITHIN).toBeGreaterThan(before);
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(1);
    sent.destroy();
    await expectGone('mid-generate', 'streaming');
  });

  test('/stream: frees its slot for the next request', async () => {
    const stream = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    await stream.until((text) => text.includes('two'));
    const next = generate(server, { prompt: 'next' });
    await expect.poll(() => waiting(server), WITHIN).toBe(1);
    stream.leave();
    expect((await next).status).toBe(200);
  });

  test('a client that resets its connection is no different', async () => {
    const socket = createConnection(server.port, '127.0.0.1');
    const body = JSON.stringify({ prompt: scripted({ fail: 'hang' }) });
    socket.write(
      `POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: reset\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(1);
    socket.resetAndDestroy();
    await expectGone('reset', 'waiting');
  });

  test('many that leave at once leave nothing behind', async () => {
    const streams = Array.from({ length: 50 }, (_, index) =>
      send(`${server.url}/${index % 2 ? 'stream' : 'generate'}`, {
        body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
      }),
    );
    await expect.poll(() => waiting(server), WITHIN).toBe(49);
    for (const stream of streams) stream.destroy();
    await expect.poll(() => waiting(server), WITHIN).toBe(0);
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
    await expect.poll(() => metric(server, 'llm_serve_oldest_request_seconds'), WITHIN).toBe(0);
  });
});

describe('a client that stops reading', () => {
  test('is cut off, holds little memory meanwhile, and gives its slot back', async () => {
    const server = await startExecutable({
      flags: [
        ...scriptedFlags({ target: { slots: 1, context_size: 10_000_000 } }),
        ...['--server.stalled-reader-seconds', '1', '--server.stream-buffer-bytes', '65536'],
      ],
      endsWith: onTestFinished,
    });
    const before = residentBytes(server.pid);
    // About 100 MB, as fast as they can be made.
    const answer = await openAnswer(`${server.url}/stream`, {
      headers: { 'x-request-id': 'stalled' },
      body: {
        prompt: scripted({ tokens: 1_000_000 }, 'abcdefghijklmnopqrstuvwxyz'.repeat(4)),
        max_tokens: 1_000_000,
      },
    });
    await answer.until((text) => text.length > 0);
    answer.pause();
    let most = 0;
    const line = server.requestLine('stalled');
    const watch = setInterval(() => {
      most = Math.max(most, residentBytes(server.pid) ?? 0);
    }, 50);
    onTestFinished(() => clearInterval(watch));
    expect(await line).toMatchObject({ status: 499, errorCode: 'client_gone', cancelPhase: 'streaming' });
    expect(most - (before ?? 0)).toBeLessThan(60_000_000);
    await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
  });

  test('before an answer in one piece has left: it is disconnected, and its line tells', async () => {
    const server = await startServer({
      flags: [
        ...scriptedFlags({ target: { slots: 1, context_size: 1_000_000 } }),
        ...['--server.stalled-reader-seconds', '1'],
      ],
      endsWith: onTestFinished,
    });
    const body = JSON.stringify({
      prompt: scripted({ tokens: 300_000 }, 'abcdefghijklmnopqrstuvwxyz'.repeat(4)),
      max_tokens: 300_000,
    });
    const socket = createConnection({ port: server.port, host: '127.0.0.1' });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {}).pause();
    socket.write(
      `POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: whole\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(await server.requestLine('whole')).toMatchObject({ status: 499 });
  });

  test('one that reads slowly but steadily gets everything', async () => {
    const server = await startServer({
      flags: [
        ...scriptedFlags({ target: { slots: 1, context_size: 1_000_000 } }),
        ...['--server.stalled-reader-seconds', '5', '--server.stream-buffer-bytes', '1024'],
      ],
      endsWith: onTestFinished,
    });
    const body = JSON.stringify({
      prompt: scripted({ tokens: 100_000 }, 'abcdefghijklmnopqrstuvwxyz'.repeat(4)),
      max_tokens: 100_000,
    });
    const socket = createConnection({ port: server.port, host: '127.0.0.1' });
    socket.write(
      `POST /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const pauseEvery = 3_000_000;
    let bytes = 0;
    let tail = '';
    socket.on('data', (chunk: Buffer) => {
      const pauses = Math.floor(bytes / pauseEvery) < Math.floor((bytes + chunk.length) / pauseEvery);
      bytes += chunk.length;
      tail = (tail + chunk.toString()).slice(-1000);
      if (!pauses) return;
      socket.pause();
      setTimeout(() => socket.resume(), 1500);
    });
    await once(socket, 'close');
    expect(tail).toContain('data: [DONE]');
  });
});
