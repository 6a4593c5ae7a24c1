/**
 * Notices a client that reads nothing of what it is sent. The measure is the socket's own timeout: while a write is under way, Node
 * asks how much of it is left, and takes less than before for activity. `bytesWritten` would not do: it counts what waits, too.
 * What is received would be activity as well, and empty lines may come for ever before a request: so nothing is read of the client
 * either. That it goes away is noticed by the write.
 * Invariant: the connection has the timeout, and is not read, only while the watch runs; at other times it is Node's, for idle
 * connections.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Milliseconds } from '../core/clock.ts';

/** The most that a timer of Node takes. */
const MOST_MS = 2 ** 31 - 1;

export interface ReaderWatch {
  cancel(): void;
}

/**
 * Calls back when the system has taken nothing for the client in `stalledMs` to twice as much. An answer that waits for the one ahead
 * of it has no connection yet: its client is watched from when it has.
 */
export function watchReader(
  response: ServerResponse,
  stalledMs: Milliseconds,
  onStalled: () => void,
): ReaderWatch {
  let held: Socket | undefined;
  const hold = () => held?.pause();
  const begin = () => {
    held = response.socket?.setTimeout(Math.min(stalledMs, MOST_MS));
    // Node reads on when it has come to the end of a request, which may be later in this turn.
    held?.on('resume', hold).pause();
  };
  response.on('timeout', onStalled);
  if (response.socket === null) response.once('socket', begin);
  else begin();
  return {
    cancel: () => {
      response.off('timeout', onStalled);
      response.off('socket', begin);
      held?.off('resume', hold).setTimeout(0).resume();
    },
  };
}

/** The same for what is left of an answer that has ended. `onCutOff`: not all of it has left, and never will. */
export function watchRest(response: ServerResponse, stalledMs: Milliseconds, onCutOff: () => void): void {
  const watch = watchReader(response, stalledMs, () => response.destroy());
  // Before Node, which then sets the time that an idle connection is kept, or begins with the next answer.
  response.prependOnceListener('finish', () => {
    watch.cancel();
    // Node says `finish` of what it throws away, too: after a write that failed, even before it destroys the socket.
    const { socket } = response;
    if (socket !== null && (socket.destroyed || socket.errored !== null)) onCutOff();
  });
}
