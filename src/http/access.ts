/** The door. With keys: a known one is needed. Without, on loopback: only pages and programs of this machine get in. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { SlidingWindow } from '../scheduling/sliding-window.ts';
import type { RequestContext } from './context.ts';
import { hostNameOf, isLoopbackName, mayCall, type OriginPolicy, refusalOf } from './origins.ts';
import type { Step } from './step.ts';

export interface AccessOptions extends OriginPolicy {
  readonly clock: Clock;
  readonly apiKeys: readonly string[];
  /** Addresses whose wrong keys are counted; more share one count. */
  readonly maxAddresses: number;
}

/** So many wrong keys of one address are a 401, more are a 429. */
export const WRONG_KEYS = { limit: 10, windowMs: 60_000 } as const;

/** Probes need no key; nor do pages that say nothing of this server but what its source says. */
const OPEN_PATHS = ['/health', '/ready', '/', '/openapi.json'];
const OPEN_PREFIX = '/docs';
/** What nearly every request says; others are taken apart. */
const USUAL_LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/** Undefined where anybody gets in. */
export function accessStep(options: AccessOptions): Step | undefined {
  if (options.apiKeys.length === 0)
    return options.onLoopback ? ({ request }) => checkPlaceOfOrigin(request.headers, options) : undefined;
  const isKnown = keyCheck(options.apiKeys);
  const wrongKeys = new SlidingWindow({ ...WRONG_KEYS, maxKeys: options.maxAddresses });
  return ({ request, path, clientId }: RequestContext) => {
    if (isOpen(path)) return;
    const keys = keysOf(request.headers);
    // A right key gets in whatever was sent before it, and costs no count.
    if (keys.some(isKnown)) return;
    throw keys.length === 0 ? missingKey() : wrongKey(wrongKeys, clientId, options.clock.now());
  };
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.includes(path) || path === OPEN_PREFIX || path.startsWith(`${OPEN_PREFIX}/`);
}

/** Hashes have equal length and every known one is compared, so the time says nothing about the keys. */
function keyCheck(apiKeys: readonly string[]): (key: string) => boolean {
  const knownHashes = apiKeys.map(hash);
  return (key) => {
    const given = hash(key);
    return knownHashes.filter((known) => timingSafeEqual(known, given)).length > 0;
  };
}

function missingKey(): ServingError {
  return new ServingError('missing_api_key', {
    message: 'An API key is required. Send it as "Authorization: Bearer KEY" or "x-api-key: KEY".',
  });
}

function wrongKey(wrongKeys: SlidingWindow, client: string, now: Milliseconds): ServingError {
  const { admission, limit, retryInMs } = wrongKeys.check(client, now);
  if (admission !== undefined)
    return new ServingError('invalid_api_key', { message: 'The API key is not known to this server.' });
  return new ServingError('too_many_attempts', {
    message: `The API key is not known to this server, and this address has sent ${limit} wrong ones in ${WRONG_KEYS.windowMs / 1000} seconds. A right key is accepted at any time.`,
    retryAfterSeconds: Math.ceil(retryInMs / 1000),
  });
}

/** Clients that have two places for a key may fill one of them with something else. */
function keysOf(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  return [bearer, headers['x-api-key']].filter((key): key is string => typeof key === 'string' && key !== '');
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function checkPlaceOfOrigin({ host, origin }: IncomingHttpHeaders, policy: OriginPolicy): void {
  if (
    host !== undefined &&
    !USUAL_LOOPBACK_HOST.test(host) &&
    !isLoopbackName(hostNameOf(`http://${host}`)) &&
    !isListedHost(host, policy.corsOrigins)
  ) {
    throw new ServingError('forbidden', {
      message: `The Host ${JSON.stringify(host)} is not this machine. Use localhost, or set auth.api_keys to serve other names.`,
    });
  }
  if (origin === undefined || mayCall(origin, policy)) return;
  throw new ServingError('forbidden', { message: refusalOf(origin) });
}

function isListedHost(host: string, corsOrigins: readonly string[]): boolean {
  return (
    corsOrigins.includes('*') || corsOrigins.some((origin) => origin.replace(/^https?:\/\//, '') === host)
  );
}
