/**
 * Connections whose request did not arrive in time. Node reports all that it finds in one turn of the event loop, thousands after a flood,
 * and to close one costs about as much as to accept it: here they wait, and each turn ends a few, so that others are served in between.
 * Invariant: a request that has arrived while its connection waited is served.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { OpenRequests } from './open-requests.ts';

/** Together they cost less than a millisecond. */
const ENDED_IN_A_TURN = 8;

type Served = Pick<OpenRequests, 'on'>;

interface LateConnectionsOptions {
  readonly clock: Pick<Clock, 'atEndOfTurn'>;
  readonly openRequests: Served;
  /** Answers that it is too late, or closes. */
  readonly end: (error: NodeJS.ErrnoException, socket: Socket) => void;
}

interface LateConnection {
  readonly error: NodeJS.ErrnoException;
  readonly socket: Socket;
  /** What it was serving when its time was over. */
  readonly serving: ReturnType<Served['on']>;
}

export class LateConnections {
  readonly #options: LateConnectionsOptions;
  #waiting: LateConnection[] = [];
  /** So many of those that wait have been ended. */
  #ended = 0;

  constructor(options: LateConnectionsOptions) {
    this.#options = options;
  }

  add(error: NodeJS.ErrnoException, socket: Socket): void {
    const { clock, openRequests, end } = this.#options;
    const serving = openRequests.on(socket);
    // Late is the one behind it: that this one is complete would not tell whether that one has arrived.
    if (serving?.request.complete === true) {
      end(error, socket);
      return;
    }
    this.#waiting.push({ error, socket, serving });
    if (this.#waiting.length === 1) clock.atEndOfTurn(this.#endSome);
  }

  readonly #endSome = (): void => {
    const until = Math.min(this.#ended + ENDED_IN_A_TURN, this.#waiting.length);
    for (; this.#ended < until; this.#ended += 1) this.#end(this.#waiting[this.#ended] as LateConnection);
    if (this.#ended < this.#waiting.length) {
      this.#options.clock.atEndOfTurn(this.#endSome);
      return;
    }
    this.#waiting = [];
    this.#ended = 0;
  };

  #end({ error, socket, serving }: LateConnection): void {
    const { openRequests, end } = this.#options;
    const request = (openRequests.on(socket) ?? serving)?.request;
    if (!socket.destroyed && request?.complete !== true) end(error, socket);
  }
}
