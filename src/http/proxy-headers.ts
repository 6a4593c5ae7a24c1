/**
 * Reads the PROXY header of a new connection off its socket, before HTTP sees a byte, and only where `server.proxy_protocol` and
 * `server.trusted_proxies` allow it: anybody else could choose an address. Invariant: a connection is given on once, or closed.
 */
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { isInRanges } from './client-address.ts';
import { setForwardedPeer } from './peer.ts';
import { readProxyHeader } from './proxy-protocol.ts';
import type { EdgeSettings } from './settings.ts';

interface ProxyHeadersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: Pick<EdgeSettings, 'proxyProtocol' | 'trustedProxies'>;
  /** For the header to arrive. */
  readonly timeoutMs: Milliseconds;
  /** The client of the connection is known now. `stays` is called, at once or later, if it may have another one. */
  readonly moveTo: (socket: Socket, address: string, stays: () => void) => void;
  readonly onRefused: () => void;
}

export class ProxyHeaders {
  readonly #options: ProxyHeadersOptions;
  /** Connections whose header has not arrived yet, or whose client may not be let in. */
  readonly #waiting = new Set<Socket>();
  #hasWarned = false;

  constructor(options: ProxyHeadersOptions) {
    this.#options = options;
  }

  /** `serve` gets the connection as it is behind its header: at once, or later, or never. */
  read(socket: Socket, serve: () => void): void {
    const { proxyProtocol, trustedProxies } = this.#options.settings;
    // Refused already.
    if (socket.destroyed) return;
    if (proxyProtocol === 'off') serve();
    else if (isInRanges(socket.remoteAddress ?? '', trustedProxies))
      this.#await(socket, { serve, isRequired: proxyProtocol === 'required' });
    else if (proxyProtocol === 'optional') serve();
    else this.#refuse(socket, 'that address is not in server.trusted_proxies');
  }

  closeWaiting(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #await(socket: Socket, { serve, isRequired }: { serve: () => void; isRequired: boolean }): void {
    let received: Buffer = Buffer.alloc(0);
    const onData = (bytes: Buffer) => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      const header = readProxyHeader(received);
      if (header.kind === 'incomplete') return;
      settle();
      if (header.kind === 'invalid') this.#refuse(socket, `its PROXY header is not valid: ${header.why}`);
      else if (header.kind === 'header')
        this.#open(socket, header.source, received.subarray(header.bytes), serve);
      else if (isRequired) this.#refuse(socket, 'it does not begin with a PROXY header');
      else giveOn(socket, received, serve);
    };
    const onEnd = () => {
      settle();
      socket.destroy();
    };
    const timer = this.#options.clock.schedule(this.#options.timeoutMs, onEnd);
    const settle = () => {
      timer.cancel();
      this.#waiting.delete(socket);
      socket.off('data', onData).off('end', onEnd).off('close', settle);
    };
    this.#waiting.add(socket);
    // HTTP has a listener of its own later; without any, a reset would end the process.
    socket.on('error', ignore).on('data', onData).once('end', onEnd).once('close', settle);
  }

  #open(socket: Socket, source: string | undefined, rest: Buffer, serve: () => void): void {
    if (source === undefined) {
      giveOn(socket, rest, serve);
      return;
    }
    setForwardedPeer(socket, source);
    const forget = () => void this.#waiting.delete(socket);
    // Behind a header alone. Where there is more, the end is told behind that, to HTTP.
    const onEnd = () => socket.destroy();
    this.#waiting.add(socket);
    putBack(socket, rest);
    socket.once('end', onEnd).once('close', forget);
    this.#options.moveTo(socket, source, () => {
      forget();
      socket.off('end', onEnd).off('close', forget);
      if (!socket.destroyed) serveFrom(socket, serve);
    });
  }

  #refuse(socket: Socket, why: string): void {
    const { log, onRefused } = this.#options;
    const address = socket.remoteAddress ?? 'unknown';
    socket.destroy();
    onRefused();
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    log.warn(
      `A connection from ${address} was closed: server.proxy_protocol is set, and ${why}. Further ones are only counted (llm_serve_connections_refused_total).`,
    );
  }
}

function ignore(): void {}

function giveOn(socket: Socket, rest: Buffer, serve: () => void): void {
  putBack(socket, rest);
  serveFrom(socket, serve);
}

/** `rest`: bytes behind the header. They are read again, by HTTP, before any that the system still has. */
function putBack(socket: Socket, rest: Buffer): void {
  socket.pause();
  if (rest.length > 0) socket.unshift(rest);
}

function serveFrom(socket: Socket, serve: () => void): void {
  serve();
  socket.off('error', ignore);
  socket.resume();
}
