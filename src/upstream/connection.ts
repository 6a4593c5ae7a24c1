/**
 * One connection to an upstream server, for one request at a time, with what undici does not reveal: whether it has carried a
 * request before, and whether a byte has come since the latest. Servers close idle connections: one that closes it just as a
 * request arrives has not looked at that request.
 */
import type { Socket } from 'node:net';
import { type buildConnector, Client } from 'undici';

/** A request that has been sent. */
export interface InFlight {
  /** The connection has carried a request before. */
  readonly reused: boolean;
  /** Not a byte has come back. */
  readonly unanswered: boolean;
}

export interface ConnectionOptions extends Omit<Client.Options, 'connect'> {
  readonly connect: buildConnector.connector;
}

export class Connection extends Client {
  readonly #watch: SocketWatch;

  constructor(origin: string, { connect, ...options }: ConnectionOptions) {
    const watch = new SocketWatch();
    super(origin, { ...options, connect: watch.watching(connect) });
    this.#watch = watch;
  }

  /** The next request needs no new socket. */
  get isOpen(): boolean {
    return this.#watch.isOpen;
  }

  /** To be called as a request is sent. */
  begin(): InFlight | undefined {
    return this.#watch.begin();
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
