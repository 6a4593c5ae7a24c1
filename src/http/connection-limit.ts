/**
 * Bounds the connections that are open, in all and for each address. One above a bound is closed at once, unread: to answer it
 * would cost what the bound is there to save. Invariant: a connection is counted until it is closed, exactly once.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Log } from '../core/log.ts';
import { type AddressRange, isInRanges, limitKey } from './client-address.ts';

export type ConnectionBound = 'max_connections' | 'max_connections_per_address';

export interface ConnectionLimitOptions {
  readonly maxConnections: number;
  /** Trusted proxies carry the connections of many clients; this machine's own programs are not limited either. */
  readonly maxPerAddress: number;
  readonly trustedProxies: readonly AddressRange[];
}

export class ConnectionLimit {
  readonly #options: ConnectionLimitOptions;
  readonly #perAddress = new Map<string, number>();
  #open = 0;

  constructor(options: ConnectionLimitOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#open;
  }

  /** Counts the connection in; or answers with the bound that it would exceed. */
  admit(address: string): { readonly close: () => void } | { readonly exceeds: ConnectionBound } {
    const { maxConnections, maxPerAddress } = this.#options;
    const key = this.#isExempt(address) ? undefined : limitKey(address);
    const ofAddress = key === undefined ? 0 : (this.#perAddress.get(key) ?? 0);
    if (this.#open >= maxConnections) return { exceeds: 'max_connections' };
    if (ofAddress >= maxPerAddress) return { exceeds: 'max_connections_per_address' };
    this.#open += 1;
    if (key !== undefined) this.#perAddress.set(key, ofAddress + 1);
    let isOpen = true;
    return {
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#open -= 1;
        if (key !== undefined) this.#leave(key);
      },
    };
  }

  #leave(key: string): void {
    const left = (this.#perAddress.get(key) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(key, left);
    else this.#perAddress.delete(key);
  }

  #isExempt(address: string): boolean {
    const isLoopback = ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
    return isLoopback || isInRanges(address, this.#options.trustedProxies);
  }
}

export function limitConnections(
  server: Server,
  options: {
    readonly limit: ConnectionLimit;
    readonly log: Log;
    readonly onRefused: (bound: ConnectionBound) => void;
  },
): void {
  const warned = new Set<ConnectionBound>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? 'unknown';
    const admission = options.limit.admit(address);
    if ('close' in admission) {
      socket.once('close', admission.close);
      return;
    }
    const { exceeds } = admission;
    socket.destroy();
    options.onRefused(exceeds);
    if (warned.has(exceeds)) return;
    warned.add(exceeds);
    options.log.warn(
      `A connection from ${address} was closed: server.${exceeds} is reached. Further ones are only counted (llm_serve_connections_refused_total).`,
    );
  });
}
