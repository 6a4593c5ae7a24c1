/**
 * The connections that a worker was handed: tells the control process that they are taken, whose they are, and that they are closed.
 * Invariant: nothing is read of a connection in the turn in which it is taken, so what was read of, the control process knows as taken.
 */
import type { Socket } from 'node:net';
import type { HandedConnection, LifeToControl } from './life-messages.ts';

interface HandedConnectionsOptions {
  readonly send: (message: LifeToControl) => void;
  readonly onRefused: () => void;
}

export class HandedConnections {
  readonly #options: HandedConnectionsOptions;
  readonly #ids = new WeakMap<Socket, number>();
  readonly #open = new Map<number, Socket>();
  /** Their addresses have been told to the control process, which has not decided yet. */
  readonly #undecided = new Map<number, () => void>();

  constructor(options: HandedConnectionsOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  take({ id }: HandedConnection, socket: Socket): void {
    const { send } = this.#options;
    this.#ids.set(socket, id);
    this.#open.set(id, socket);
    send({ type: 'connection-taken', id });
    socket.once('close', () => {
      this.#open.delete(id);
      this.#undecided.delete(id);
      send({ type: 'connection-closed', id });
    });
  }

  /** `stays` is called once the control process has decided that the connection may be that client's. */
  moveTo(socket: Socket, address: string, stays: () => void): void {
    const id = this.#ids.get(socket);
    if (id === undefined) {
      stays();
      return;
    }
    this.#undecided.set(id, stays);
    this.#options.send({ type: 'connection-moved', id, address });
  }

  stays(id: number): void {
    const stays = this.#undecided.get(id);
    this.#undecided.delete(id);
    stays?.();
  }

  refused(id: number): void {
    this.#undecided.delete(id);
    this.#open.get(id)?.destroy();
    this.#options.onRefused();
  }
}
