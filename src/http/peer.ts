/**
 * Who is at the other end of a connection: the address that the socket has, or the client whose connection a TCP proxy forwards
 * (PROXY protocol). Everything that asks for the peer of a connection asks here.
 */
import type { Socket } from 'node:net';

export interface Peer {
  readonly address: string;
  /** The address came in a PROXY header: the socket’s own is the proxy’s. */
  readonly isForwarded: boolean;
}

const forwarded = new WeakMap<object, Peer>();

/** To be called before the first request of the connection. */
export function setForwardedPeer(socket: Socket, address: string): void {
  forwarded.set(socket, { address, isForwarded: true });
}

export function peerOf(socket: Pick<Socket, 'remoteAddress'>): Peer {
  return forwarded.get(socket) ?? { address: socket.remoteAddress ?? 'unknown', isForwarded: false };
}
