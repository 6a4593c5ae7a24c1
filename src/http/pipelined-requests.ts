/**
 * The requests of one connection that came before the one ahead of them was answered. Invariant: while MOST_OPEN of them are not answered,
 * nothing more is read of the connection; what was read with the last of them, up to 64 KiB, is served all the same.
 */
import type { Socket } from 'node:net';
import type { RequestContext } from './context.ts';

const MOST_OPEN = 64;

export class PipelinedRequests {
  readonly #socket: Socket;
  readonly #open = new Set<RequestContext>();
  #isHeld = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Of an answer that waits for the one ahead of it, Node does not tell that its connection was lost.
    socket.once('close', () => {
      for (const waiting of [...this.#open]) waiting.connectionLost();
    });
  }

  add(context: RequestContext): void {
    this.#open.add(context);
    if (this.#isHeld || this.#open.size < MOST_OPEN) return;
    this.#isHeld = true;
    // Node reads on when it has come to the end of a request, or when a body is taken.
    this.#socket.on('resume', this.#hold).pause();
  }

  ended(context: RequestContext): void {
    this.#open.delete(context);
    if (!this.#isHeld || this.#open.size >= MOST_OPEN) return;
    this.#isHeld = false;
    this.#socket.off('resume', this.#hold).resume();
  }

  readonly #hold = (): void => void this.#socket.pause();
}

/** Runs `run` when all answers ahead of this one have left, now or later; not at all where the connection is lost before. */
export function whenInTurn({ response }: RequestContext, run: () => void): void {
  // Node gives the connection to one response at a time.
  if (response.socket === null) response.once('socket', run);
  else run();
}
