/**
 * Limits open connections, in all and per address. A connection above a limit is closed at once, unread: answering it would cost what
 * the limit is there to save.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../core/log.ts';
import { isLoopbackAddress, isTrustedProxy, limitKey } from './client-address.ts';
import type { EdgeSettings } from './settings.ts';

export type ConnectionBound = 'max_connections' | 'max_connections_per_address';

type ConnectionLimits = Pick<
  EdgeSettings,
  'maxConnections' | 'maxConnectionsPerAddress' | 'trustedProxies' | 'trustedHops'
>;

export interface Admission {
  /** A proxy has told whose connection it is: it counts for that address from now on, unless that has too many already. */
  readonly moveTo: (address: string) => ConnectionBound | undefined;
  readonly close: () => void;
}

/** Invariant: a connection is counted exactly once, until it is closed. */
export class ConnectionLimit {
  readonly #settings: ConnectionLimits;
  readonly #perAddress = new Map<string, number>();
  #open = 0;

  constructor(settings: ConnectionLimits) {
    this.#settings = settings;
  }

  get open(): number {
    return this.#open;
  }

  /** Counts a connection, or returns the bound that it would exceed. */
  admit(address: string): Admission | { readonly exceeds: ConnectionBound } {
    if (this.#open >= this.#settings.maxConnections) return { exceeds: 'max_connections' };
    let key = this.#isExempt(address) ? undefined : limitKey(address);
    if (!this.#mayJoin(key)) return { exceeds: 'max_connections_per_address' };
    this.#open += 1;
    this.#join(key);
    let isOpen = true;
    return {
      moveTo: (other) => {
        // An address of this machine is exempt where its program connects, not where a proxy names it.
        const next = isTrustedProxy(other, this.#settings) ? undefined : limitKey(other);
        if (!this.#mayJoin(next)) return 'max_connections_per_address';
        if (isOpen) {
          this.#leave(key);
          this.#join(next);
          key = next;
        }
        return undefined;
      },
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#open -= 1;
        this.#leave(key);
      },
    };
  }

  /** Undefined is an address without a bound of its own. */
  #mayJoin(key: string | undefined): boolean {
    return key === undefined || (this.#perAddress.get(key) ?? 0) < this.#settings.maxConnectionsPerAddress;
  }

  #join(key: string | undefined): void {
    if (key !== undefined) this.#perAddress.set(key, (this.#perAddress.get(key) ?? 0) + 1);
  }

  #leave(key: string | undefined): void {
    if (key === undefined) return;
    const left = (this.#perAddress.get(key) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(key, left);
    else this.#perAddress.delete(key);
  }

  #isExempt(address: string): boolean {
    return isLoopbackAddress(address) || isTrustedProxy(address, this.#settings);
  }
}

interface LimitOptions {
  readonly limit: ConnectionLimit;
  readonly log: Log;
  readonly onRefused: (bound: ConnectionBound) => void;
}

/** Which connections a server may have: decided here, or by the process that accepts them. */
export interface ConnectionGate {
  /** Called with each server before it takes connections. */
  watch(server: Server): void;
  /** A proxy has told the address of an open connection. `stays` is called, at once or later, unless that exceeds a limit: then it is closed. */
  moveTo(socket: Socket, address: string, stays: () => void): void;
}

/** Closes the connections of servers that exceed the limit. */
export class ConnectionLimiter implements ConnectionGate {
  readonly #options: LimitOptions;
  readonly #admissions = new WeakMap<Socket, Admission>();
  readonly #warned = new Set<ConnectionBound>();

  constructor(options: LimitOptions) {
    this.#options = options;
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      const admission = this.admit(socket);
      if (admission !== undefined) socket.once('close', admission.close);
    });
  }

  /** Counts the connection until its admission is closed; undefined: it exceeded a limit, and was closed. */
  admit(socket: Socket): Admission | undefined {
    const address = socket.remoteAddress ?? 'unknown';
    const admission = this.#options.limit.admit(address);
    if ('exceeds' in admission) {
      this.refuse(socket, address, admission.exceeds);
      return undefined;
    }
    this.#admissions.set(socket, admission);
    return admission;
  }

  moveTo(socket: Socket, address: string, stays: () => void): void {
    const exceeds = this.#admissions.get(socket)?.moveTo(address);
    if (exceeds === undefined) stays();
    else this.refuse(socket, address, exceeds);
  }

  refuse(socket: Pick<Socket, 'destroy'>, address: string, exceeds: ConnectionBound): void {
    const { log, onRefused } = this.#options;
    socket.destroy();
    onRefused(exceeds);
    if (this.#warned.has(exceeds)) return;
    this.#warned.add(exceeds);
    log.warn(
      `A connection from ${address} was closed: server.${exceeds} is reached. Further ones are only counted (llm_serve_connections_refused_total).`,
    );
  }
}
