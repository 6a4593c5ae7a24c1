/**
 * A stand-in for the hub on loopback: one file, behind a redirect that carries its checksum, in ranges, and able to
 * hold back or cut off what it sends. What it does may be changed between two requests.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { claimPort } from './own-port.ts';

export interface HubBehaviour {
  bytes: Buffer;
  etag?: string | undefined;
  /** Sends `x-linked-etag` and `x-linked-size`; by default it does. */
  linked: boolean;
  ranges: boolean;
  /** Sends no more than so many bytes of an answer, until `cut`. */
  stopAfter?: number | undefined;
  /** Sends half, then the rest when this resolves. */
  hold?: Promise<unknown> | undefined;
}

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export interface ModelHub {
  readonly url: string;
  readonly behaviour: HubBehaviour;
  /** Requests for the bytes themselves, without those that were redirected. */
  readonly requests: readonly SeenRequest[];
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startModelHub(given: Partial<HubBehaviour> & { bytes: Buffer }): Promise<ModelHub> {
  const behaviour: HubBehaviour = { etag: '"one"', linked: true, ranges: true, ...given };
  const requests: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (!path.startsWith('/bytes/')) return redirect(behaviour, path, response);
    requests.push({ path, range: request.headers.range, ifRange: header(request, 'if-range') });
    void send(behaviour, request, response);
  });
  const own = await claimPort();
  await new Promise<void>((resolve) => server.listen(own.port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${own.port}`,
    behaviour,
    requests,
    cut: () => server.closeAllConnections(),
    // The port stays its own: what is closed here is to be found closed.
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function redirect({ bytes, linked }: HubBehaviour, path: string, response: ServerResponse): void {
  if (!path.includes('/resolve/')) return void response.writeHead(404).end();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const about = linked ? { 'x-linked-etag': `"${sha256}"`, 'x-linked-size': bytes.length } : {};
  response.writeHead(302, { location: `/bytes/${path.split('/').at(-1)}`, ...about }).end('Found.');
}

async function send(
  behaviour: HubBehaviour,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { bytes, etag, ranges, stopAfter, hold } = behaviour;
  const about = { 'content-type': 'application/octet-stream', ...(etag === undefined ? {} : { etag }) };
  const unchanged = [undefined, etag].includes(header(request, 'if-range'));
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const start = ranges && unchanged && asked ? Number(asked[1]) : 0;
  if (start >= bytes.length && start > 0)
    return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  const rest = bytes.subarray(start);
  const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(start > 0 ? 206 : 200, {
    ...about,
    'content-length': rest.length,
    ...(start > 0 ? range : {}),
  });
  if (stopAfter !== undefined) return void response.write(rest.subarray(0, stopAfter));
  if (hold === undefined) return void response.end(rest);
  const half = Math.floor(rest.length / 2);
  response.write(rest.subarray(0, half));
  await hold;
  response.end(rest.subarray(half));
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
