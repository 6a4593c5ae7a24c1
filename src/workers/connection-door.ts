/**
 * Hands the connections that the control process accepts to the workers, the least busy one first, and counts them until they are
 * closed. Those that are as busy take turns. Invariant: a connection is handed to one worker at a time; to another one only if the one before it has gone, or has lost it,
 * without reading of it.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { DoorName } from '../core/door-name.ts';
import type { HandedConnection } from './life-messages.ts';

/** A socket of which nothing has been read. */
export interface AcceptedSocket {
  /** Closes this process's end; a process that it was handed to keeps its own. */
  destroy(): unknown;
}

export interface DoorAdmission {
  /** A proxy has told its address: it counts for that one from now on. False: it may not. */
  moveTo(address: string): boolean;
  /** It counts no more. */
  close(): void;
}

interface AcceptedConnection<Accepted> {
  readonly door: DoorName;
  readonly socket: Accepted;
  readonly admission: DoorAdmission;
}

export interface DoorWorker<Accepted> {
  /** Copies the socket to the worker; the caller destroys its own when the worker has said that it is taken. */
  hand(note: HandedConnection, socket: Accepted): void;
  send(message: { readonly type: 'connection-stays' | 'connection-refused'; readonly id: number }): void;
}

interface OpenConnection<Accepted> extends AcceptedConnection<Accepted> {
  readonly id: number;
  /** Its place among those that its worker was handed. */
  order: number;
  isTaken: boolean;
}

interface Place<Accepted> {
  readonly worker: DoorWorker<Accepted>;
  readonly connections: Map<number, OpenConnection<Accepted>>;
  /** So many were handed over to the worker. */
  handed: number;
  /** Handed over, not taken yet: its worker is busy with something else. */
  untaken: number;
  /** Among all that were ever handed over, the number of the last one that it got. */
  lastTurn: number;
}

/** What a worker says of its connections. */
export interface DoorPlace {
  taken(id: number): void;
  closed(id: number): void;
  moved(id: number, address: string): void;
  /** So many were handed over to the worker until now. */
  readonly handed: number;
  /** The worker has received what was sent after so many: those of them that it has not taken by now are lost. */
  receivedAfter(handed: number): void;
  /** Its process has ended, and everything that it has said was heard. */
  gone(): void;
}

/** For the workers that have not come yet, when the first one has: what was accepted before that is shared by all. */
const SHARED_WITHIN_MS: Milliseconds = 1000;

interface ConnectionDoorOptions {
  readonly clock: Pick<Clock, 'schedule'>;
  /** So many there should be. */
  readonly workers: number;
}

export class ConnectionDoor<Accepted extends AcceptedSocket> {
  readonly #options: ConnectionDoorOptions;
  readonly #places = new Set<Place<Accepted>>();
  /** Accepted while there was no worker. */
  readonly #held: OpenConnection<Accepted>[] = [];
  /** While some of those are for workers that may come yet. */
  #sharing: Timer | undefined;
  #lastId = 0;
  #turns = 0;

  constructor(options: ConnectionDoorOptions) {
    this.#options = options;
  }

  accept(accepted: AcceptedConnection<Accepted>): void {
    this.#lastId += 1;
    this.#place({ ...accepted, id: this.#lastId, order: 0, isTaken: false });
  }

  join(worker: DoorWorker<Accepted>): DoorPlace {
    const place: Place<Accepted> = { worker, connections: new Map(), handed: 0, untaken: 0, lastTurn: 0 };
    this.#places.add(place);
    this.#share();
    return {
      taken: (id) => this.#taken(place, id),
      closed: (id) => this.#closed(place, id),
      moved: (id, address) => {
        const connection = place.connections.get(id);
        if (connection === undefined) return;
        const stays = connection.admission.moveTo(address);
        worker.send({ type: stays ? 'connection-stays' : 'connection-refused', id });
      },
      get handed() {
        return place.handed;
      },
      receivedAfter: (handed) => {
        if (place.untaken === 0) return;
        const lost = [...place.connections.values()].filter(
          ({ isTaken, order }) => !isTaken && order <= handed,
        );
        this.#handAgain(place, lost);
      },
      gone: () => {
        this.#places.delete(place);
        const connections = [...place.connections.values()];
        for (const { isTaken, admission } of connections) if (isTaken) admission.close();
        this.#handAgain(
          place,
          connections.filter(({ isTaken }) => !isTaken),
        );
        place.connections.clear();
      },
    };
  }

  /** The worker that has come gets as many of those that were held as each of those to come. */
  #share(): void {
    const { clock, workers } = this.#options;
    const toCome = Math.max(0, workers - this.#places.size);
    const share = Math.ceil(this.#held.length / (toCome + 1));
    for (const connection of this.#held.splice(0, share)) this.#place(connection);
    if (this.#held.length > 0) this.#sharing ??= clock.schedule(SHARED_WITHIN_MS, () => this.#placeHeld());
    else this.#stopSharing();
  }

  /** Where there is no worker any more, they are held again. */
  #placeHeld(): void {
    this.#sharing = undefined;
    for (const connection of this.#held.splice(0)) this.#place(connection);
  }

  #stopSharing(): void {
    this.#sharing?.cancel();
    this.#sharing = undefined;
  }

  /** Those that no worker has are closed. */
  close(): void {
    this.#stopSharing();
    for (const { socket, admission } of this.#held.splice(0)) {
      socket.destroy();
      admission.close();
    }
  }

  #place(connection: OpenConnection<Accepted>): void {
    const place = this.#leastBusy();
    if (place === undefined) {
      this.#held.push(connection);
      return;
    }
    place.connections.set(connection.id, connection);
    place.untaken += 1;
    place.handed += 1;
    this.#turns += 1;
    place.lastTurn = this.#turns;
    connection.order = place.handed;
    place.worker.hand({ type: 'connection', id: connection.id, door: connection.door }, connection.socket);
  }

  #handAgain(place: Place<Accepted>, connections: readonly OpenConnection<Accepted>[]): void {
    for (const connection of connections) {
      place.connections.delete(connection.id);
      place.untaken -= 1;
    }
    for (const connection of connections) this.#place(connection);
  }

  #taken(place: Place<Accepted>, id: number): void {
    const connection = place.connections.get(id);
    if (connection === undefined || connection.isTaken) return;
    connection.isTaken = true;
    place.untaken -= 1;
    connection.socket.destroy();
  }

  #closed(place: Place<Accepted>, id: number): void {
    const connection = place.connections.get(id);
    if (connection === undefined) return;
    // One that was gone before it could be taken.
    this.#taken(place, id);
    place.connections.delete(id);
    connection.admission.close();
  }

  /** One that does not take what it has been handed is busy, however few connections it has. */
  #leastBusy(): Place<Accepted> | undefined {
    let least: Place<Accepted> | undefined;
    for (const place of this.#places) if (least === undefined || comesBefore(place, least)) least = place;
    return least;
  }
}

function comesBefore<Accepted>(one: Place<Accepted>, other: Place<Accepted>): boolean {
  if (one.untaken !== other.untaken) return one.untaken < other.untaken;
  if (one.connections.size !== other.connections.size) return one.connections.size < other.connections.size;
  return one.lastTurn < other.lastTurn;
}
