/**
 * One connection of a pool, with what undici does not tell of it: whether it has carried a request before, and whether a byte
 * has come since the latest. Servers close idle connections; one that does so as a request arrives has not looked at it.
 */
import type { Socket } from 'node:net';
import { type buildConnector, Client, type Dispatcher } from 'undici';

/** A request that is on its way. */
export interface Sending {
  /** The connection has carried a request before. */
  readonly reused: boolean;
  /** Nothing has come back. */
  readonly unanswered: boolean;
}

/** undici hands options on as they are, and wraps handlers: by the options a request learns which connection it runs on. */
export interface ConnectionOptions extends Dispatcher.DispatchOptions {
  /** Called before the request is dispatched; `begin` is to be called when it is sent. */
  readonly runsOn?: (begin: () => Sending | undefined) => void;
}

export class Connection extends Client {
  readonly #wire: Wire;

  constructor(origin: URL | string, { connect, ...options }: Client.Options) {
    const wire = new Wire();
    super(origin, { ...options, connect: wire.watching(connect as buildConnector.connector) });
    this.#wire = wire;
  }

  override dispatch(options: ConnectionOptions, handler: Dispatcher.DispatchHandler): boolean {
    options.runsOn?.(() => this.#wire.begin());
    return super.dispatch(options, handler);
  }
}

/** The sockets of a connection, one after the other. */
class Wire {
  #socket: Socket | undefined;
  #isUsed = false;

  watching(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) =>
      connect(options, (...result) => {
        const [, socket] = result;
        this.#socket = socket ?? undefined;
        this.#isUsed = false;
        callback(...result);
      });
  }

  begin(): Sending | undefined {
    const socket = this.#socket;
    if (socket === undefined) return undefined;
    const reused = this.#isUsed;
    const readBefore = socket.bytesRead;
    this.#isUsed = true;
    return {
      reused,
      get unanswered() {
        return socket.bytesRead === readBefore;
      },
    };
  }
}
