/**
 * Connections whose request did not arrive in time. Node reports all that it finds in one turn of the event loop, thousands after a flood,
 * and to close one costs about as much as to accept it: here they wait, and each turn ends a few, so that others are served in between.
 * Invariants: one on which a request has arrived whole meanwhile is not ended: that was the late one, whether or not its answer is out. Nor
 * is one that has answers ahead, or had them until a moment ago: it may not have been read meanwhile, so the time of the request behind them
 * counts from when the last of them has left.
 */
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { OpenRequests } from './open-requests.ts';

/** Together they cost less than a millisecond. */
const ENDED_IN_A_TURN = 8;
/** More of those that have been ended are not kept. */
const MOST_ENDED_KEPT = 1000;

interface LateConnectionsOptions {
  readonly clock: Pick<Clock, 'atEndOfTurn' | 'now' | 'schedule'>;
  readonly openRequests: Pick<OpenRequests, 'arrivedOn' | 'hasAnswersAhead' | 'onAnswered' | 'answeredAt'>;
  /** For the head and the body of a request to arrive. */
  readonly requestTimeoutMs: Milliseconds;
  /** Answers that it is too late, or closes. */
  readonly end: (error: NodeJS.ErrnoException, socket: Socket) => void;
}

interface LateConnection {
  readonly error: NodeJS.ErrnoException;
  readonly socket: Socket;
  /** So many whole requests had come on it before its time was over. */
  readonly arrived: number;
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
    const { clock, openRequests } = this.#options;
    this.#waiting.push({ error, socket, arrived: openRequests.arrivedOn(socket) });
    if (this.#waiting.length === 1) clock.atEndOfTurn(this.#endSome);
  }

  readonly #endSome = (): void => {
    const until = Math.min(this.#ended + ENDED_IN_A_TURN, this.#waiting.length);
    for (; this.#ended < until; this.#ended += 1) this.#end(this.#waiting[this.#ended] as LateConnection);
    const isLast = this.#ended === this.#waiting.length;
    if (isLast || this.#ended >= MOST_ENDED_KEPT) {
      this.#waiting.splice(0, this.#ended);
      this.#ended = 0;
    }
    if (!isLast) this.#options.clock.atEndOfTurn(this.#endSome);
  };

  /** Once its late request is there, Node itself times the one behind that. */
  #end(late: LateConnection): void {
    const { clock, openRequests, requestTimeoutMs, end } = this.#options;
    const { error, socket, arrived } = late;
    if (socket.destroyed || openRequests.arrivedOn(socket) !== arrived) return;
    const leftMs = openRequests.answeredAt(socket) + requestTimeoutMs - clock.now();
    if (openRequests.hasAnswersAhead(socket)) openRequests.onAnswered(socket, () => this.#end(late));
    else if (leftMs > 0) clock.schedule(leftMs, () => this.#end(late));
    else end(error, socket);
  }
}
