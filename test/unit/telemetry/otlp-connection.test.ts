import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openOtlpConnection, type Receiver } from '../../../src/telemetry/otlp-connection.ts';

const BODY = Buffer.from('an export');

/** A receiver that refuses everything, and a connection to it. */
async function connected(changes: Partial<Receiver> = {}) {
  const got: { path: string | undefined; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      got.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(503, { 'retry-after': '3' }).end('busy');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = openOtlpConnection({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    headers: { 'X-Key': 'secret', 'Content-Type': 'text/plain' },
    compression: 'none',
    tls: {},
    version: '1.2.3',
    ...changes,
  });
  onTestFinished(async () => {
    await connection.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { connection, got };
}

const { signal } = new AbortController();

describe('an export', () => {
  it('is posted with the headers of the protocol and those of the settings', async () => {
    const { connection, got } = await connected();
    const answer = await connection.post(BODY, signal);
    expect(answer).toEqual({ status: 503, retryAfter: '3', body: Buffer.from('busy') });
    expect(got).toMatchObject([
      {
        path: '/v1/traces',
        headers: {
          'content-type': 'application/x-protobuf',
          'x-key': 'secret',
          'user-agent': 'llm-serve/1.2.3',
        },
        body: BODY,
      },
    ]);
    expect(got[0]?.headers['content-encoding']).toBeUndefined();
  });

  it('is compressed where that is asked for', async () => {
    const { connection, got } = await connected({ compression: 'gzip' });
    await connection.post(BODY, signal);
    expect(got[0]?.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(got[0]?.body ?? BODY)).toEqual(BODY);
  });

  it('fails where nothing listens', async () => {
    const { connection } = await connected({ url: 'http://127.0.0.1:1/' });
    await expect(connection.post(BODY, signal)).rejects.toThrow('ECONNREFUSED');
  });
});
