/** The sentence for an address at which no server answers: why, and what to do about it. */
import { remoteVariables } from '../config/environment.ts';

/** Undefined: the error code means something else. */
export function noServerText(address: string, code: string): string | undefined {
  const why = NOTHING_ANSWERS.get(code);
  if (why === undefined) return undefined;
  const start = isLoopback(address)
    ? 'Start one with "llm-serve serve" ("npm start" in a clone), or name another'
    : 'Name another';
  return `No server answers at ${address} (${why}). ${start} with --server or ${remoteVariables.server}.`;
}

/** The same for a certificate that cannot be trusted. */
export function untrustedText(address: string, code: string): string | undefined {
  const why = UNTRUSTED.get(code);
  return why && `The certificate of ${address} ${why}.`;
}

function isLoopback(address: string): boolean {
  return /^https?:\/\/(localhost|127\.|\[::1\])/.test(address);
}

/** Error code → in words. */
const NOTHING_ANSWERS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ENOTFOUND', 'there is no host of that name'],
  ['EAI_AGAIN', 'the name could not be looked up'],
  ['EHOSTUNREACH', 'no route to that host'],
  ['ENETUNREACH', 'no route to that network'],
  ['ETIMEDOUT', 'no connection in time'],
]);

const UNKNOWN_AUTHORITY = 'is not trusted: set NODE_EXTRA_CA_CERTS to the file of its authority';

/** Error code of node:tls → in words. */
const UNTRUSTED: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNKNOWN_AUTHORITY],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_AUTHORITY],
  ['CERT_HAS_EXPIRED', 'has expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'is for another host'],
]);
