/** Posts bytes over connections that stay open: hundreds of requests a second, the answers as exact as those of `exchangeBytes`. */
import { Agent, request } from 'node:http';
import type { RawAnswer } from './http-client.ts';

export interface KeepAliveClient {
  post(path: string, body: string | Buffer, headers?: Readonly<Record<string, string>>): Promise<RawAnswer>;
  close(): void;
}

const ANSWERED_WITHIN_MS = 60_000;

export function keepAliveClient(server: { readonly port: number }): KeepAliveClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  return {
    post: (path, body, headers) => post({ agent, port: server.port, path, body, headers }),
    close: () => agent.destroy(),
  };
}

interface Post {
  readonly agent: Agent;
  readonly port: number;
  readonly path: string;
  readonly body: string | Buffer;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

function post({ agent, port, path, body, headers }: Post): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      agent,
      port,
      path,
      host: '127.0.0.1',
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...headers,
      },
      signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const header = (name: string) => {
          const value = response.headers[name.toLowerCase()];
          return Array.isArray(value) ? value.join(', ') : value;
        };
        resolve({
          statusLine: `HTTP/1.1 ${response.statusCode} ${response.statusMessage}`,
          status: response.statusCode ?? 0,
          headers: Object.entries(response.headers).map(([name]) => [name, header(name) ?? ''] as const),
          header,
          body: Buffer.concat(chunks).toString('utf8'),
        });
      });
    });
    sent.end(body);
  });
}
