/**
 * The connections to one upstream server. It owns the pool: one request per connection at a time, as many
 * connections as requests, idle ones given up before the server does. Time-outs of answers are serving's, by signal.
 */
import { Pool } from 'undici';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { Exchange, type ResponseHeaders } from './exchange.ts';
import { networkError } from './network-error.ts';

export interface UpstreamOptions {
  /** http or https, with an optional path that is put before every request's. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

export interface UpstreamCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface JsonAnswer {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Undefined when the body is not JSON. */
  readonly body: unknown;
}

/** Common servers close idle connections after 5 s. */
const KEEP_ALIVE_MS = 4000;
const JSON_LIMIT_BYTES = 16 * 1024 * 1024;

/** Accepted for `url` in a target's configuration: no credentials, query or fragment, which would go unused. */
export const URL_PATTERN = '^https?://[^/@?#\\s]+(/[^?#\\s]*)?$';
export const URL_RULE = 'an address such as http://localhost:8001, without user, query and fragment';

export class Upstream {
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #headers: string[];
  readonly #bodyHeaders: string[];
  readonly #clock: Clock;

  constructor(options: UpstreamOptions) {
    const url = new URL(options.url);
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#headers = Object.entries({ accept: '*/*', ...options.headers }).flat();
    this.#bodyHeaders = [...this.#headers, 'content-type', 'application/json'];
    this.#clock = options.clock;
    this.#pool = new Pool(url.origin, {
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs },
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      factory: (origin, connection: Pool.Options) => new Connection(origin, connection),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * Resolves when the answer's headers are here, whatever its status. Throws a ServingError, or what the exchange was aborted
   * with: `hold` is called with it before anything is sent. What was lost on a connection that the server had closed is sent
   * once more.
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
    const { method, path } = call;
    const hasBody = call.body !== undefined;
    const { promise, resolve, reject } = withResolvers<Exchange>();
    const exchange = new Exchange(this.#clock, { resolve, reject });
    hold(exchange);
    const options: ConnectionOptions = {
      method,
      path: `${this.#basePath}${path}`,
      headers: hasBody ? this.#bodyHeaders : this.#headers,
      body: hasBody ? JSON.stringify(call.body) : null,
      runsOn: (begin) => {
        exchange.begin = begin;
      },
    };
    try {
      this.#pool.dispatch(options, exchange);
    } catch (thrown) {
      reject(networkError(thrown, { started: false }));
    }
    return { exchange, opened: promise };
  }

  /** A whole answer, whatever its status. Throws a ServingError, or the signal's reason. */
  async json(call: UpstreamCall & { readonly signal: AbortSignal }): Promise<JsonAnswer> {
    const { signal } = call;
    let current: Exchange | undefined;
    const onAbort = () => current?.abort(signal.reason);
    signal.addEventListener('abort', onAbort);
    try {
      const exchange = await this.open(call, (held) => {
        signal.throwIfAborted();
        current = held;
      });
      return { status: exchange.status, headers: exchange.headers, body: await readJson(exchange) };
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Requests under way fail. */
  async close(): Promise<void> {
    await this.#pool.destroy();
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

/** The rest of an answer as JSON; undefined when it is not. */
export async function readJson(exchange: Exchange): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  await exchange.read((chunk) => {
    sizeBytes += chunk.length;
    if (sizeBytes > JSON_LIMIT_BYTES) {
      throw new ServingError('backend_error', {
        message: 'The model’s backend answered more than is accepted.',
      });
    }
    chunks.push(chunk);
  });
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
