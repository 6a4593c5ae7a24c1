/**
 * The sockets: Node's HTTP servers on one address, or on each address of `localhost`, with the limits that Node itself enforces. Knows
 * nothing about what is served.
 */
import { lookup } from 'node:dns/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProxyHeaders } from './proxy-headers.ts';

interface ListenerOptions {
  readonly onRequest: RequestListener;
  /** Called with each server before it listens. */
  readonly prepare: (server: Server) => void;
  /** For the head and the body of a request to arrive. */
  readonly requestTimeoutMs: number;
  readonly proxyHeaders: ProxyHeaders;
}

export interface ListenAddress {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 72_000;
/** How often Node looks for requests that are too slow; its default of 30 s could triple our timeout. */
const CHECK_CONNECTIONS_MS = 1000;

export class Listener {
  readonly #options: ListenerOptions;
  #servers: Server[] = [];

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves with the URL once connections are taken. */
  async listen({ host, port }: ListenAddress): Promise<string> {
    const first = await this.#open({ host, port });
    const bound = first.address() as AddressInfo;
    // The name may have an IPv4 and an IPv6 address, and clients try either; one of them may be missing.
    if (host === 'localhost') {
      const addresses = await lookup(host, { all: true }).catch(() => []);
      const others = addresses.filter(({ address }) => address !== bound.address);
      await Promise.allSettled(others.map(({ address }) => this.#open({ host: address, port: bound.port })));
    }
    return urlOf(bound);
  }

  /** Takes no new connections; resolves when those in use have closed. */
  async close(): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    this.#options.proxyHeaders.closeWaiting();
    for (const server of this.#servers) server.closeIdleConnections();
    await Promise.all(closed);
  }

  closeAllConnections(): void {
    this.#options.proxyHeaders.closeWaiting();
    for (const server of this.#servers) server.closeAllConnections();
  }

  #open(address: ListenAddress): Promise<Server> {
    const { onRequest, prepare, requestTimeoutMs, proxyHeaders } = this.#options;
    const server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
        // A missing Host gets our own answer instead of Node's bare one.
        requireHostHeader: false,
        noDelay: true,
      },
      onRequest,
    );
    const serveHttp = server.listeners('connection');
    server.removeAllListeners('connection');
    prepare(server);
    server.on('connection', (socket: Socket) =>
      proxyHeaders.read(socket, () => {
        for (const serve of serveHttp) serve.call(server, socket);
      }),
    );
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, () => {
        server.off('error', reject);
        this.#servers.push(server);
        resolve(server);
      });
    });
  }
}

/** Listening on all interfaces: with an address of this machine. */
function urlOf({ address, port, family }: AddressInfo): string {
  if (family === 'IPv6' || address.includes(':')) return `http://[${address}]:${port}`;
  return `http://${address === '0.0.0.0' ? firstAddress() : address}:${port}`;
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  const ipv4 = all.filter(({ family }) => family === 'IPv4');
  return (ipv4.find(({ internal }) => internal) ?? ipv4[0])?.address ?? '0.0.0.0';
}
