/**
 * One connection to an upstream server, used for one request at a time, with what undici does not tell of it: whether it has
 * carried a request before, and whether a byte has come since the latest. Servers close idle connections; one that does so
 * as a request arrives has not looked at it.
 */
import type { Socket } from 'node:net';
import { type buildConnector, Client } from 'undici';

/** A request that is on its way. */
export interface InFlight {
  /** The connection has carried a request before. */
  readonly reused: boolean;
  /** Nothing has come back. */
  readonly unanswered: boolean;
}

export interface ConnectionOptions extends Omit<Client.Options, 'connect'> {
  readonly connect: buildConnector.connector;
}

export class Connection extends Client {
  readonly #wire: SocketWatch;

  constructor(origin: string, { connect, ...options }: ConnectionOptions) {
    const wire = new SocketWatch();
    super(origin, { ...options, connect: wire.watching(connect) });
    this.#wire = wire;
  }

  /** It need not be made again for the next request. */
  get isOpen(): boolean {
    return this.#wire.isOpen;
  }

  /** To be called as a request is sent on it. */
  begin(): InFlight | undefined {
    return this.#wire.begin();
  }
}

/** The sockets of a connection, one after the other. */
class SocketWatch {
  #socket: Socket | undefined;
  #isUsed = false;

  get isOpen(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed;
  }

  watching(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) =>
      connect(options, (...result) => {
        const [, socket] = result;
        this.#socket = socket ?? undefined;
        this.#isUsed = false;
        callback(...result);
      });
  }

  begin(): InFlight | undefined {
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
