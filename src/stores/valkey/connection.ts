/**
 * The connection to Valkey or Redis: one server, the one that sentinels name, or a cluster. It connects again by itself, for ever, also
 * where nothing says that the other end is gone.
 * Nothing waits in it: what can't be sent at once fails at once, and what was sent is never sent again. Owns its sockets.
 */
import { Cluster, Redis, type RedisOptions } from 'iovalkey';
import type { ValkeyAddress } from './address.ts';
import { failureOf, ValkeyFailure } from './failure.ts';
import type { Script } from './scripts.ts';

/** What runs scripts; rejects with a ValkeyFailure. */
export interface ScriptRunner {
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

interface ConnectionOptions {
  readonly address: ValkeyAddress;
  /** In the server's list of clients. */
  readonly name: string;
  /** Loaded into the server with each connection, so that they need not be sent again. */
  readonly scripts: readonly Script[];
  readonly connectTimeoutMs: number;
  /** Asked, and nothing came for that long: the connection is dropped and made anew. Its other end may be gone without a word. */
  readonly silenceTimeoutMs: number;
  /** It was connected, or is again. */
  readonly onReady: () => void;
  /** It could not be connected, or is no longer. */
  readonly onLost: (failure: ValkeyFailure) => void;
}

const WITH_SOCKET: ReadonlySet<string> = new Set(['connecting', 'connect', 'ready']);

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

export class ValkeyConnection implements ScriptRunner {
  readonly #client: Redis | Cluster;
  readonly #scripts: readonly Script[];
  #lastError: ValkeyFailure | undefined;
  #isClosed = false;

  constructor({
    address,
    name,
    scripts,
    connectTimeoutMs,
    silenceTimeoutMs,
    onReady,
    onLost,
  }: ConnectionOptions) {
    this.#scripts = scripts;
    this.#client = clientOf(address, {
      connectionName: name,
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceTimeoutMs,
    });
    this.#client.on('error', (error: unknown) => {
      this.#lastError = failureOf(error);
      // Sentinels are asked, and nodes of a cluster tried, without a connection that could be closed.
      if (address.kind !== 'server' && this.#client.status !== 'ready') onLost(this.#lastError);
    });
    this.#client.on('ready', () => {
      this.#lastError = undefined;
      this.#load();
      onReady();
    });
    this.#client.on('close', () => {
      if (this.#isClosed) return;
      const closed = new ValkeyFailure('unreachable', 'The connection was closed.', { mayBeDone: true });
      onLost(this.#lastError ?? closed);
    });
  }

  /** Once. The outcome is `onReady` or `onLost`, again and again. */
  connect(): void {
    // Rejects with the first error, which is an event as well.
    this.#client.connect().catch(() => {});
  }

  /** Before whatever is sent next; in a cluster, and after the server has forgotten them, `run` does without. */
  #load(): void {
    if (this.#client instanceof Cluster) return;
    for (const { lua } of this.#scripts) this.#client.script('LOAD', lua).catch(() => {});
  }

  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await this.#client.evalsha(script.sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw this.#failureOf(error);
    }
    try {
      return await this.#client.eval(script.lua, keys.length, ...keys, ...args);
    } catch (error) {
      throw this.#failureOf(error);
    }
  }

  /** Where there is no connection: why there is none. */
  #failureOf(error: unknown): ValkeyFailure {
    const failure = failureOf(error);
    if (failure.mayBeDone || failure.reason !== 'unreachable' || this.#lastError === undefined)
      return failure;
    const { reason, message } = this.#lastError;
    return new ValkeyFailure(reason, message, { mayBeDone: false });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const hasSocket = WITH_SOCKET.has(this.#client.status);
    const ended = new Promise<void>((resolve) => this.#client.once('end', () => resolve()));
    this.#client.disconnect();
    // Between two tries to connect there is nothing that could end.
    if (hasSocket) await ended;
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.includes('NOSCRIPT');
}

function retryDelay(times: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10));
}

function clientOf(address: ValkeyAddress, own: RedisOptions): Redis | Cluster {
  const { username, password, isEncrypted, database } = address;
  const options: RedisOptions = {
    ...own,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    db: database,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What is under way when the connection is lost fails then.
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelay,
    // A replica that was the primary: its successor is found by connecting again.
    reconnectOnError: ({ message }) => message.includes('READONLY'),
  };
  const tls = isEncrypted ? { tls: {} } : {};
  switch (address.kind) {
    case 'server': {
      const { endpoint } = address;
      if ('path' in endpoint) return new Redis({ ...options, path: endpoint.path });
      return new Redis({ ...options, ...tls, host: endpoint.host, port: endpoint.port, family: 0 as never });
    }
    case 'sentinel': {
      const { sentinelLogin, nodes, name } = address;
      return new Redis({
        ...options,
        ...tls,
        sentinels: [...nodes],
        name,
        enableTLSForSentinelMode: isEncrypted,
        ...(sentinelLogin.username === undefined ? {} : { sentinelUsername: sentinelLogin.username }),
        ...(sentinelLogin.password === undefined ? {} : { sentinelPassword: sentinelLogin.password }),
        sentinelRetryStrategy: retryDelay,
        ...(own.socketTimeout === undefined ? {} : { sentinelCommandTimeout: own.socketTimeout }),
        failoverDetector: true,
      });
    }
    case 'cluster':
      return new Cluster([...address.nodes], {
        lazyConnect: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: retryDelay,
        redisOptions: { ...options, ...tls },
        retryDelayOnTryAgain: 0,
        maxRedirections: 3,
      });
  }
}
