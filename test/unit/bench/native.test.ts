/** The clients and the upstream in C: what they say of streams that are whole, that lose a token, and that end. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}
interface Measured {
  readonly failed?: string;
  readonly streams: number;
  readonly tokens: number;
  readonly lost: number;
  readonly cpuMicroseconds: number;
  readonly addedGapMs: Spread;
  readonly onTheWayMs: Spread;
  readonly due: number;
  readonly answered: number;
  readonly latencyMs: Spread;
}
interface Native {
  readonly upstreamUrl: string;
  run(name: string, args: readonly (string | number)[], request: object): Promise<Measured>;
  stop(): Promise<void>;
}

const { startNativePrograms, whatIsMissing } = await import(
  new URL('../../../bench/native/programs.mjs', import.meta.url).href
);
const PACED = { path: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'paced' }] } };
const SECONDS = 0.3;
const PERIOD_MS = 20;

describe.skipIf(whatIsMissing() !== undefined)('native programs', () => {
  let native: Native;
  beforeAll(async () => {
    native = await startNativePrograms();
  });
  afterAll(() => native.stop());

  const between: Server[] = [];
  afterEach(() => {
    for (const server of between.splice(0)) server.close();
  });

  const measure = (port: string | number, streams: number) =>
    native.run('stream-client', [port, process.pid, streams, SECONDS, PERIOD_MS], PACED);

  /** Forwards bytes both ways, those of answers through `change`. */
  async function forward(change: (bytes: Buffer, client: Socket) => Buffer): Promise<number> {
    const server = createServer((client) => {
      const upstream = connect(Number(new URL(native.upstreamUrl).port), '127.0.0.1');
      client.pipe(upstream);
      upstream.on('data', (bytes) => client.write(change(bytes, client)));
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy());
    }).listen(0, '127.0.0.1');
    between.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  it('finds every token of an upstream that it reads directly, close to when it was sent', async () => {
    await fetch(`${native.upstreamUrl}/schedule/4`);
    const measured = await measure(new URL(native.upstreamUrl).port, 4);
    expect(measured).toMatchObject({ streams: 4, lost: 0 });
    expect(measured.tokens).toBeGreaterThan(0);
    expect(measured.onTheWayMs.p50).toBeGreaterThan(0);
  });

  it('counts a token that is missing in the middle of a stream', async () => {
    await fetch(`${native.upstreamUrl}/schedule/1`);
    const port = await forward((bytes) => {
      const text = bytes.toString('latin1');
      return Buffer.from(text.replace(/@0000(1[05])/, ' 0000$1'), 'latin1');
    });
    expect(await measure(port, 1)).toMatchObject({ streams: 1, lost: 2 });
  });

  it('fails a run in which a stream ends', async () => {
    await fetch(`${native.upstreamUrl}/schedule/2`);
    const port = await forward((bytes, client) => {
      if (bytes.includes('@000010')) client.destroy();
      return bytes;
    });
    expect((await measure(port, 2)).failed).toMatch(/^a stream ended early/);
  });

  it('says what the server answered instead of a stream', async () => {
    const port = await forward((bytes) =>
      Buffer.from(bytes.toString('latin1').replace('200 OK', '503 No'), 'latin1'),
    );
    expect((await measure(port, 1)).failed).toMatch(/^HTTP\/1\.1 503/);
  });

  it('sends requests at their times and counts the answers', async () => {
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
    const server = createServer((client) => {
      client.on('error', () => {});
      client.on('data', () => client.write(answer));
    }).listen(0, '127.0.0.1');
    between.push(server);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const request = { path: '/generate', body: { prompt: 'a' } };
    const { due, answered, latencyMs } = await native.run('request-client', [port, 400, SECONDS], request);
    expect(answered).toBe(due);
    expect(due).toBeGreaterThan(60);
    expect(due).toBeLessThan(200);
    expect(latencyMs.p50).toBeGreaterThan(0);
  });
});
