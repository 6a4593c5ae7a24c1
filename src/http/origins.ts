/** Which web pages may call the API from a browser, and which names are this machine's own. Pure. */
import ipaddr from 'ipaddr.js';

export interface OriginPolicy {
  /** The server listens on this machine alone. */
  readonly onLoopback: boolean;
  /** `server.cors_origins`; `*` is every page. */
  readonly corsOrigins: readonly string[];
}

/**
 * Listed origins may; on loopback so may pages of this machine. `null` may only where it is listed: a file has that
 * origin, but so has a sandboxed frame in any page.
 */
export function mayCall(origin: string, { onLoopback, corsOrigins }: OriginPolicy): boolean {
  if (corsOrigins.includes('*') || corsOrigins.includes(origin)) return true;
  return onLoopback && isLoopbackName(hostNameOf(origin));
}

export function refusalOf(origin: string): string {
  return (
    `Pages of the origin ${JSON.stringify(origin)} may not use this server. ` +
    (origin === 'null'
      ? 'A file or a sandboxed frame has no origin of its own: serve the page from http://localhost, or from one that is listed in server.cors_origins.'
      : 'Add it to server.cors_origins to let them.')
  );
}

/** Undefined for what is no URL. */
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
