/** Which requests come from programs of this machine, and not through a proxy on it. */
import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { ServingError } from '../core/errors.ts';
import { isLoopbackAddress, isTrustedProxy, type ProxyTrust } from './client-address.ts';
import type { RequestContext } from './context.ts';
import { peerOf } from './peer.ts';
import type { EdgeSettings } from './settings.ts';

/** Every proxy that says so sends one of these. */
const FORWARDING_HEADER =
  /^(?:forwarded|via|x-real-ip|x-client-ip|cf-connecting-ip|true-client-ip|x-forwarded(?:-.*)?)$/;

/**
 * Without admin keys, programs of this machine may administer. A proxy on this machine must not lend that to its clients: a connection
 * from loopback is not enough. What a proxy cannot be told by (it adds no header, speaks HTTP/1.1, and passes a loopback Host on) is
 * excluded by `server.trusted_proxies`, or by admin keys.
 */
export function requireThisMachine({ request }: RequestContext, settings: EdgeSettings): void {
  const why = whyNotThisMachine(request, settings);
  if (why === undefined) return;
  throw new ServingError('forbidden', {
    message: `${why} Without auth.admin_keys, only programs of the server’s own machine may call /admin. Set auth.admin_keys, and send one as "Authorization: Bearer KEY".`,
  });
}

/** Whether a proxy that is trusted names a client on another machine, by a PROXY header or by X-Forwarded-For. */
export function comesFromElsewhere(
  { request: { socket }, clientAddress }: Pick<RequestContext, 'request' | 'clientAddress'>,
  trust: ProxyTrust,
): boolean {
  if (isLoopbackAddress(clientAddress)) return false;
  const { address, isForwarded } = peerOf(socket);
  return isForwarded || isTrustedProxy(address, trust);
}

/** Undefined: it may. */
export function whyNotThisMachine(
  { socket, headers, httpVersion }: Pick<IncomingMessage, 'socket' | 'headers' | 'httpVersion'>,
  trust: ProxyTrust,
): string | undefined {
  const { address, isForwarded } = peerOf(socket);
  if (isForwarded) return 'The connection comes through a proxy, which named its client (PROXY protocol).';
  if (!isLoopbackAddress(address)) return 'The connection comes from another machine.';
  if (isTrustedProxy(address, trust))
    return trust.trustedProxies.length > 0
      ? 'The connection comes from an address of server.trusted_proxies.'
      : 'With server.trusted_hops, every connection comes from a proxy.';
  if (httpVersion !== '1.1') return 'The request is HTTP/1.0, as proxies send it.';
  const forwarding = Object.keys(headers).find((name) => FORWARDING_HEADER.test(name));
  if (forwarding !== undefined) return `The request has the header ${forwarding}, which proxies add.`;
  const { host = '', origin } = headers;
  if (!isLoopbackName(hostNameOf(`http://${host}`)))
    return `The Host header ${JSON.stringify(host)} does not name this machine.`;
  // A page that came from another server, shown on this machine.
  if (origin !== undefined && origin !== `http://${host}`)
    return `The request comes from a web page of ${JSON.stringify(origin)}.`;
  return undefined;
}

/** Undefined for text that is no URL. */
export function hostNameOf(url: string): string | undefined {
  try {
    return new URL(url).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return undefined;
  }
}

export function isLoopbackName(name: string | undefined): boolean {
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}
