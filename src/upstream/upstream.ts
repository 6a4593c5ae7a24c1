/**
 * The connections to one upstream server. It owns them: one request per connection at a time, as many connections as
 * requests, the most recently used first, idle ones closed before the server closes them. Response time-outs are serving's.
 */
import { buildConnector } from 'undici';
import { type Along, HOPS_HEADER } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { TRACEPARENT_HEADER, TRACESTATE_HEADER } from '../core/trace-context.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { Exchange } from './exchange.ts';
import { closedError } from './failures.ts';
import type { ResponseHeaders } from './untyped.ts';

export interface UpstreamCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the client's request; this instance is added to the hops. */
  readonly along?: Along | undefined;
  /** Names and values in turn, beside those of every request. */
  readonly headers?: readonly string[];
}

export interface JsonResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Undefined when the body is not JSON. */
  readonly body: unknown;
  /** The body, then. */
  readonly text?: string | undefined;
  /** Of the body as it came. */
  readonly sizeBytes?: number;
}

/** Common servers close idle connections after 5 s. */
const KEEP_ALIVE_MS = 4000;
/** What is read of one answer. */
export const MAX_JSON_BYTES = 16 * 1024 * 1024;

/** What `url` of a target may be: no credentials, query or fragment, which would be ignored. */
export const URL_PATTERN = '^https?://[^/@?#\\s]+(/[^?#\\s]*)?$';
export const URL_RULE = 'an address such as http://localhost:8001, without user, query and fragment';

export class Upstream {
  readonly #origin: string;
  readonly #connectionOptions: ConnectionOptions;
  /** Open, without a request; the most recently used last. */
  #idle: Connection[] = [];
  readonly #connections = new Set<Connection>();
  #isClosed = false;
  readonly #basePath: string;
  readonly #headers: string[];
  readonly #bodyHeaders: string[];
  readonly #instanceId: string | undefined;
  readonly #clock: Clock;

  constructor(options: {
    /** http or https, with an optional path that is put before every request's. */
    readonly url: string;
    readonly connectTimeoutMs: number;
    /** Sent with every request. */
    readonly headers?: Readonly<Record<string, string>>;
    /** Of this process, for `HOPS_HEADER`; absent: it is not sent. */
    readonly instanceId?: string | undefined;
    readonly clock: Clock;
  }) {
    const url = new URL(options.url);
    this.#basePath = url.pathname.replace(/\/+$/, '');
    const { instanceId } = options;
    this.#instanceId = instanceId;
    // The hops are last: of a request that came through others, they are replaced.
    const hops = instanceId === undefined ? {} : { [HOPS_HEADER]: instanceId };
    this.#headers = Object.entries({ accept: '*/*', ...options.headers, ...hops }).flat();
    this.#bodyHeaders = ['content-type', 'application/json', ...this.#headers];
    this.#clock = options.clock;
    this.#origin = url.origin;
    this.#connectionOptions = {
      pipelining: 1,
      connect: buildConnector({ timeout: options.connectTimeoutMs }),
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
    };
  }

  /**
   * Resolves with the response's headers, whatever its status. Throws a ServingError, or the reason with which the exchange was
   * aborted: `hold` gets it before anything is sent. A request that met a connection closed by the server is sent once more.
   */
  async open(call: UpstreamCall, hold: (exchange: Exchange) => void): Promise<Exchange> {
    const first = this.#send(call, hold);
    try {
      return await first.opened;
    } catch (thrown) {
      if (!first.exchange.wasLost) throw thrown;
      return this.#send(call, hold).opened;
    }
  }

  #send(
    call: UpstreamCall,
    hold: (exchange: Exchange) => void,
  ): { readonly exchange: Exchange; readonly opened: Promise<Exchange> } {
    const { method, path, body } = call;
    if (this.#isClosed) throw closedError({ isSent: false, isAnswered: false });
    const { promise, resolve, reject } = withResolvers<Exchange>();
    const connection = this.#idle.pop() ?? this.#connect();
    const onFree = () => this.#free(connection);
    const exchange = new Exchange({ clock: this.#clock, connection, opened: { resolve, reject }, onFree });
    try {
      hold(exchange);
      const text = body === undefined ? null : JSON.stringify(body);
      const headers = this.#headersOf(call);
      connection.dispatch({ method, path: `${this.#basePath}${path}`, headers, body: text }, exchange);
    } catch (thrown) {
      onFree();
      throw thrown;
    }
    return { exchange, opened: promise };
  }

  #headersOf({ body, along, headers: own }: UpstreamCall): string[] {
    const usual = body === undefined ? this.#headers : this.#bodyHeaders;
    if (along === undefined) return own === undefined ? usual : [...usual, ...own];
    const headers = [...usual];
    const { hops, requestId, traceparent, tracestate } = along;
    const id = this.#instanceId;
    if (hops !== undefined && id !== undefined) headers[headers.length - 1] = `${hops}, ${id}`;
    headers.push('x-request-id', requestId);
    if (traceparent !== undefined) headers.push(TRACEPARENT_HEADER, traceparent);
    if (tracestate !== undefined) headers.push(TRACESTATE_HEADER, tracestate);
    if (own !== undefined) headers.push(...own);
    return headers;
  }

  #connect(): Connection {
    const connection = new Connection(this.#origin, this.#connectionOptions);
    this.#connections.add(connection);
    connection.on('disconnect', () => {
      const at = this.#idle.indexOf(connection);
      if (at === -1) return;
      this.#idle.splice(at, 1);
      this.#connections.delete(connection);
    });
    return connection;
  }

  #free(connection: Connection): void {
    if (connection.isOpen && !this.#isClosed) this.#idle.push(connection);
    else this.#connections.delete(connection);
  }

  /** A whole response, whatever its status. Throws a ServingError, or the signal's reason. */
  async json(call: UpstreamCall & { readonly signal: AbortSignal }): Promise<JsonResponse> {
    return this.#whole(call, async (exchange) => {
      const { status, headers } = exchange;
      const bytes = await readBody(exchange, MAX_JSON_BYTES);
      const text = bytes.toString('utf8');
      const body = parsed(text);
      return { status, headers, body, text: body === undefined ? text : undefined, sizeBytes: bytes.length };
    });
  }

  /** As `json`. A body of more than `maxBytes` is an error. */
  async text(
    call: UpstreamCall & { readonly signal: AbortSignal; readonly maxBytes: number },
  ): Promise<{ readonly status: number; readonly text: string }> {
    return this.#whole(call, async (exchange) => {
      const body = await readBody(exchange, call.maxBytes);
      return { status: exchange.status, text: body.toString('utf8') };
    });
  }

  async #whole<Response>(
    call: UpstreamCall & { readonly signal: AbortSignal },
    read: (exchange: Exchange) => Promise<Response>,
  ): Promise<Response> {
    const { signal } = call;
    let current: Exchange | undefined;
    const onAbort = () => current?.abort(signal.reason);
    signal.addEventListener('abort', onAbort);
    try {
      const exchange = await this.open(call, (held) => {
        signal.throwIfAborted();
        current = held;
      });
      return await read(exchange);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Requests under way fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#idle = [];
    await Promise.all([...this.#connections].map((connection) => connection.destroy()));
  }
}

/** More than is read of one answer. A server that was asked for less would have been understood. */
export class TooLongAnswer extends ServingError {
  constructor(maxBytes: number) {
    super('backend_error', {
      message: `The model’s backend answered more than ${maxBytes} bytes.`,
      failure: 'garbage',
    });
  }
}

function withResolvers<Value>() {
  let resolve: (value: Value) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** The body of a response as JSON; undefined when it is not. */
export async function readJson(exchange: Exchange): Promise<unknown> {
  return parsed((await readBody(exchange, MAX_JSON_BYTES)).toString('utf8'));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  await exchange.read((chunk) => {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new TooLongAnswer(maxBytes);
    chunks.push(chunk);
  });
  return Buffer.concat(chunks);
}
