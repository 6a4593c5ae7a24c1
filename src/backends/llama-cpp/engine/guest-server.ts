/** Where guests connect to the engine: a socket in a folder of ours that only this user may enter, or a pipe on Windows. */
import { createServer, type Server, type Socket } from 'node:net';
import { GuestConnection } from '../guest-connection.ts';
import type { EngineEvents, WorkForEngine } from '../messages.ts';
import type { Guests } from './guests.ts';
import { Guest } from './guests.ts';

const clock = { atEndOfTurn: (run: () => void) => void setImmediate(run) };

interface GuestServerOptions {
  readonly guests: Guests;
  readonly warn: (message: string) => void;
}

/** Settles when it listens, rejects when it cannot. */
export function listenForGuests(address: string, { guests, warn }: GuestServerOptions): Promise<Server> {
  const server = createServer((socket) => welcome(socket, { guests, warn }));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => resolve(server));
  });
}

function welcome(socket: Socket, { guests, warn }: GuestServerOptions): void {
  const leave = (why?: string) => {
    if (why !== undefined) warn(`A process that uses the engine was cut off: ${why}.`);
    guests.leave(guest);
  };
  const connection = new GuestConnection<EngineEvents, WorkForEngine>({
    socket,
    clock,
    onMessage: (message) => {
      const refused = guests.take(guest, message);
      if (refused === undefined) return;
      connection.close();
      leave(`it sent ${refused}`);
    },
    onEnd: (error) =>
      leave(error instanceof SyntaxError ? `it sent what is no message: ${error.message}` : undefined),
    onSlow: () => guests.setSlow(guest, true),
    onCaughtUp: () => guests.setSlow(guest, false),
  });
  const guest = new Guest((message) => connection.send(message));
}
