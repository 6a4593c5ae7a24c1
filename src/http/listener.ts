/**
 * The connections: those of Node's HTTP servers that listen, or those that another process has accepted; with the limits that Node
 * itself enforces. Knows nothing about what is served.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { type ListenAddress, listenOn } from './listening.ts';
import type { ProxyHeaders } from './proxy-headers.ts';

interface ListenerOptions {
  readonly onRequest: RequestListener;
  /** Called with each server before it takes connections. */
  readonly prepare: (server: Server) => void;
  /** For the head and the body of a request to arrive. */
  readonly requestTimeoutMs: number;
  readonly proxyHeaders: ProxyHeaders;
}

/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 72_000;
/**
 * How often Node looks for requests that are too slow. What it finds, it reports in one turn: of a flood, what came in so long. Looking
 * costs it 0.2 µs for each connection that has not sent its request.
 */
const CHECK_CONNECTIONS_MS = 200;

export class Listener {
  readonly #options: ListenerOptions;
  #servers: readonly Server[] = [];
  /** Of connections that another process has accepted; made for the first one. */
  #handedOver: Server | undefined;
  readonly #taken = new Set<Socket>();
  #onTakenGone = () => {};

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves with the URL once connections are taken. */
  async listen(address: ListenAddress): Promise<string> {
    const { url, servers } = await listenOn(address, () => this.#createServer());
    this.#servers = servers;
    return url;
  }

  /** Serves a connection that another process has accepted, as one of its own. */
  take(socket: Socket): void {
    this.#handedOver ??= this.#createHandedOver();
    this.#taken.add(socket);
    socket.once('close', () => {
      this.#taken.delete(socket);
      if (this.#taken.size === 0) this.#onTakenGone();
    });
    // As with connections that a server of HTTP has accepted, which leave to HTTP what it means that a client ends its side: it has left,
    // and ours is ended, too.
    socket.allowHalfOpen = true;
    this.#handedOver.emit('connection', socket);
  }

  /** Takes no new connections; resolves when those in use have closed. */
  async close(): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    const takenGone = new Promise<void>((resolve) => {
      if (this.#taken.size === 0) resolve();
      else this.#onTakenGone = resolve;
    });
    this.#options.proxyHeaders.closeWaiting();
    for (const server of this.#servers) server.closeIdleConnections();
    this.#handedOver?.close();
    await Promise.all([...closed, takenGone]);
  }

  closeAllConnections(): void {
    this.#options.proxyHeaders.closeWaiting();
    for (const server of this.#servers) server.closeAllConnections();
    for (const socket of this.#taken) socket.destroy();
  }

  /** Node looks for slow requests and idle connections of a server only once it listens; this one never does. */
  #createHandedOver(): Server {
    const server = this.#createServer();
    server.emit('listening');
    return server;
  }

  #createServer(): Server {
    const { onRequest, prepare, requestTimeoutMs, proxyHeaders } = this.#options;
    const server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        // What has begun to come behind an answer has its own time.
        keepAliveTimeout: Math.max(KEEP_ALIVE_MS, requestTimeoutMs + CHECK_CONNECTIONS_MS),
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
    return server;
  }
}
