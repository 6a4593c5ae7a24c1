/**
 * Who may call: cross-origin requests of web pages, then API keys. With keys in the configuration, a request needs one of them.
 * Without, on loopback, only programs and pages of this machine are allowed.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import ipaddr from 'ipaddr.js';
import { type ConfiguredKey, KeyRing, type KeyVerdict } from '../access/key-ring.ts';
import type { Caller } from '../core/caller.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { ownerOf } from '../core/live-feed.ts';
import { SlidingWindow } from '../scheduling/sliding-window.ts';
import { type AddressRange, isInRanges } from './client-address.ts';
import {
  ATTEMPTS_HEADER,
  DROPPED_HEADER,
  type RequestContext,
  SERVED_MODEL_HEADER,
  SERVED_TARGET_HEADER,
  type Step,
} from './context.ts';
import { LOWERED_HEADER, PRIORITY_HEADER } from './model-request.ts';
import { ADMIN_PREFIX } from './routes/admin.ts';
import { LIVE_PATH } from './routes/live.ts';
import { type EdgeSettings, madeOf } from './settings.ts';

type OriginPolicy = Pick<EdgeSettings, 'onLoopback' | 'corsOrigins'>;

interface AccessOptions {
  readonly clock: Clock;
  readonly settings: EdgeSettings;
  /** Of the store; those of the configuration are put in here. */
  readonly keys: KeyRing;
}

/** That many wrong keys of one address are a 401, more are a 429. */
const WRONG_KEYS = { limit: 10, windowMs: 60_000 } as const;

/** Probes need no key; neither do pages that show nothing but what the source code shows, with their files. */
const OPEN_PATHS = ['/health', '/ready', '/', '/docs', '/openapi.json'];
const OPEN_PREFIXES = ['/docs/', '/assets/'];
/** The Host of nearly every request; others are parsed. */
const USUAL_LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

export function accessStep({ clock, settings, keys }: AccessOptions): Step {
  const apiKeys = madeOf(
    () => settings.apiKeys,
    (configured) => {
      keys.setConfigured(configured);
      return keys;
    },
  );
  const adminKeys = madeOf(() => settings.adminKeys, ringOf);
  const wrongKeys = new SlidingWindow({ ...WRONG_KEYS, maxKeys: settings.maxAddresses });
  const callerBy = (key: string): Caller | undefined => knownBy(apiKeys(), key, clock);
  const adminBy = (key: string): Caller | undefined => {
    const caller = knownBy(adminKeys(), key, clock) ?? callerBy(key);
    return caller?.mayAdmin === true ? caller : undefined;
  };
  const hasAdminKeys = (): boolean => settings.adminKeys.length > 0 || apiKeys().hasAdmin;
  const requireKey = (
    context: RequestContext,
    callerOf: (key: string) => Caller | undefined,
    kind: string,
  ): Caller => {
    const sent = keysOf(context.request.headers);
    // A valid key is accepted whatever was sent before it, and is not counted.
    for (const key of sent) {
      const caller = callerOf(key);
      if (caller !== undefined) return caller;
    }
    if (sent.length === 0) throw missingKey(kind);
    for (const key of sent) {
      const message = ENDED_KEYS[apiKeys().find(key, clock.wallNow()).kind];
      if (message !== undefined) throw new ServingError('revoked_api_key', { message });
    }
    throw wrongKey(wrongKeys, context.addressKey, clock.now());
  };
  /** Who may administer sees all requests; behind API keys, that is who has an admin key. */
  const seesAll = (context: RequestContext): boolean => {
    if (hasAdminKeys()) return keysOf(context.request.headers).some((key) => adminBy(key) !== undefined);
    if (apiKeys().isShut) return false;
    return whyNotThisMachine(context.request, settings.trustedProxies) === undefined;
  };
  /** What `seesAll` is asked must cost a guess as much as elsewhere: a key that is sent and not known is refused, beside a valid one too. */
  const refuseGuesses = ({ request, addressKey }: RequestContext): void => {
    if (!hasAdminKeys()) return;
    const isUnknown = (key: string) => adminBy(key) === undefined && callerBy(key) === undefined;
    if (!keysOf(request.headers).some(isUnknown)) return;
    throw wrongKey(wrongKeys, addressKey, clock.now(), 'Here each key that is sent must be a valid one.');
  };
  return (context: RequestContext) => {
    const { trace } = context;
    // By the route that answers: the path may be spelled in many ways.
    if (context.routePath.startsWith(ADMIN_PREFIX)) {
      if (hasAdminKeys()) context.setCaller(requireKey(context, adminBy, 'admin key (auth.admin_keys)'));
      else requireThisMachine(context, settings);
      return;
    }
    const isLive = context.routePath === LIVE_PATH;
    if (isLive) {
      refuseEmbedding(context.request.headers);
      refuseGuesses(context);
    }
    const isAdmin = isLive && seesAll(context);
    if (apiKeys().isShut) {
      if (!isAdmin && !isOpen(context.path)) context.setCaller(requireKey(context, callerBy, 'API key'));
    } else if (settings.onLoopback) checkHostAndOrigin(context.request.headers, settings);
    if (isLive && !isAdmin) context.seesOnly = ownerOf(trace);
  };
}

/** Who sends such a key had it once: it is told what became of it. */
const ENDED_KEYS: Readonly<Partial<Record<KeyVerdict['kind'], string>>> = {
  revoked: 'This API key was revoked. Ask the operator of this server for another one.',
  expired: 'This API key has expired. Ask the operator of this server for another one.',
  replaced: 'This API key was replaced by a newer one (rotated). Use the newer one.',
};

function ringOf(configured: readonly ConfiguredKey[]): KeyRing {
  const ring = new KeyRing();
  ring.setConfigured(configured, { mayAdmin: true });
  return ring;
}

function knownBy(ring: KeyRing, key: string, clock: Clock): Caller | undefined {
  const verdict = ring.find(key, clock.wallNow());
  return verdict.kind === 'known' ? verdict.caller : undefined;
}

/** Every proxy that says so sends one of these. */
const FORWARDING_HEADER =
  /^(?:forwarded|via|x-real-ip|x-client-ip|cf-connecting-ip|true-client-ip|x-forwarded(?:-.*)?)$/;

/**
 * Without admin keys, programs of this machine may administer. A proxy on this machine must not lend that to its clients: a connection
 * from loopback is not enough. What a proxy cannot be told by (it adds no header, speaks HTTP/1.1, and passes a loopback Host on) is
 * excluded by `server.trusted_proxies`, or by admin keys.
 */
function requireThisMachine({ request }: RequestContext, { trustedProxies }: EdgeSettings): void {
  const why = whyNotThisMachine(request, trustedProxies);
  if (why === undefined) return;
  throw new ServingError('forbidden', {
    message: `${why} Without auth.admin_keys, only programs of the server’s own machine may call /admin. Set auth.admin_keys, and send one as "Authorization: Bearer KEY".`,
  });
}

/** Undefined: it may. */
export function whyNotThisMachine(
  { socket, headers, httpVersion }: Pick<IncomingMessage, 'socket' | 'headers' | 'httpVersion'>,
  trustedProxies: readonly AddressRange[],
): string | undefined {
  const peer = socket.remoteAddress;
  if (!isLoopbackName(peer)) return 'The connection comes from another machine.';
  if (peer !== undefined && isInRanges(peer, trustedProxies))
    return 'The connection comes from an address of server.trusted_proxies.';
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

/**
 * Pages of other sites may load any address as an image or a frame, and browsers send no Origin then. They would see nothing of the
 * stream, but keep a place among its readers.
 */
function refuseEmbedding({ origin, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
  if (site !== 'cross-site' || origin !== undefined) return;
  throw new ServingError('forbidden', {
    message: `${LIVE_PATH} cannot be opened from a page of another site. Open it in its own tab, or ask with fetch from an origin of server.cors_origins.`,
  });
}

/** Whether the same keys, programs and pages may call. */
export function isSameAccess(one: EdgeSettings, other: EdgeSettings): boolean {
  const accessOf = ({ apiKeys, adminKeys, trustedProxies, corsOrigins }: EdgeSettings) => [
    apiKeys,
    adminKeys,
    trustedProxies,
    corsOrigins,
  ];
  return isDeepStrictEqual(accessOf(one), accessOf(other));
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.includes(path) || OPEN_PREFIXES.some((prefix) => path.startsWith(prefix));
}

function missingKey(kind: string): ServingError {
  return new ServingError('missing_api_key', {
    message: `An ${kind} is required. Send it as "Authorization: Bearer KEY" or "x-api-key: KEY".`,
  });
}

/** `rule`: which keys are accepted. */
function wrongKey(
  wrongKeys: SlidingWindow,
  client: string,
  now: Milliseconds,
  rule = 'A valid key is accepted at any time.',
): ServingError {
  const { admission, limit, retryInMs } = wrongKeys.check(client, now);
  if (admission !== undefined)
    return new ServingError('invalid_api_key', { message: 'The API key is not valid.' });
  return new ServingError('too_many_attempts', {
    message: `The API key is not valid, and this address has sent ${limit} invalid keys in ${WRONG_KEYS.windowMs / 1000} seconds. ${rule}`,
    retryAfterSeconds: Math.ceil(retryInMs / 1000),
  });
}

/** Clients with two settings for a key may send something else in one of them. */
function keysOf(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  return [bearer, headers['x-api-key'], headers['api-key']].filter(
    (key): key is string => typeof key === 'string' && key !== '',
  );
}

function checkHostAndOrigin({ host, origin }: IncomingHttpHeaders, policy: OriginPolicy): void {
  if (
    host !== undefined &&
    !USUAL_LOOPBACK_HOST.test(host) &&
    !isLoopbackName(hostNameOf(`http://${host}`)) &&
    !isListedHost(host, policy.corsOrigins)
  ) {
    throw new ServingError('forbidden', {
      message: `The Host header ${JSON.stringify(host)} does not name this machine. Use localhost, or set auth.api_keys to serve other names.`,
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

/** Our headers that a page may read, in addition to the few that it always may. */
export const EXPOSED_HEADERS = [
  'X-Request-Id',
  'request-id',
  'X-Response-Time-Ms',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'RateLimit-Policy',
  'RateLimit',
  'Retry-After',
  'X-Reject-Reason',
  'x-should-retry',
  PRIORITY_HEADER,
  LOWERED_HEADER,
  DROPPED_HEADER,
  ATTEMPTS_HEADER,
  SERVED_MODEL_HEADER,
  SERVED_TARGET_HEADER,
  'Server-Timing',
  'WWW-Authenticate',
  'Allow',
];

const EXPOSED = EXPOSED_HEADERS.join(', ');
const METHODS = 'GET, HEAD, POST';
/** How long a browser may cache a preflight. */
const PREFLIGHT_SECONDS = '600';

/**
 * Answers preflights before a key is required, as they carry none and must not count for the rate limit. Other responses tell the
 * browser whether the page may read them.
 */
export function crossOriginStep(policy: OriginPolicy): Step {
  return (context) => {
    const { origin } = context.request.headers;
    if (origin === undefined) return;
    const allowed = mayCall(origin, policy);
    context.setHeader('vary', 'Origin');
    if (allowed)
      context.setHeader('access-control-allow-origin', policy.corsOrigins.includes('*') ? '*' : origin);
    if (!isPreflight(context.request)) {
      if (allowed) context.setHeader('access-control-expose-headers', EXPOSED);
      return;
    }
    if (!allowed) throw new ServingError('forbidden', { message: refusalOf(origin) });
    answerPreflight(context);
  };
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** A page may send any header: unknown ones are not read. */
function answerPreflight(context: RequestContext): void {
  const { headers } = context.request;
  context.setHeader('vary', 'Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network');
  context.setHeader('access-control-allow-methods', METHODS);
  const wanted = headers['access-control-request-headers'];
  if (wanted !== undefined) context.setHeader('access-control-allow-headers', wanted);
  // A page from the Internet asks whether it may call into a private network.
  if (headers['access-control-request-private-network'] === 'true')
    context.setHeader('access-control-allow-private-network', 'true');
  context.setHeader('access-control-max-age', PREFLIGHT_SECONDS);
  context.answer(204);
}

/**
 * Whether pages of that origin may call: listed origins may, and on loopback pages of this machine. `null` only if it is listed: it is
 * the origin of a file, but also of a sandboxed frame in any page.
 */
export function mayCall(origin: string, { onLoopback, corsOrigins }: OriginPolicy): boolean {
  if (corsOrigins.includes('*') || corsOrigins.includes(origin)) return true;
  return onLoopback && isLoopbackName(hostNameOf(origin));
}

function refusalOf(origin: string): string {
  return (
    `Web pages from the origin ${JSON.stringify(origin)} may not call this server. ` +
    (origin === 'null'
      ? 'A file or a sandboxed frame has no origin of its own: serve the page from http://localhost, or from an origin listed in server.cors_origins.'
      : 'Add it to server.cors_origins to allow them.')
  );
}

/** Undefined for text that is no URL. */
function hostNameOf(url: string): string | undefined {
  try {
    return new URL(url).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return undefined;
  }
}

function isLoopbackName(name: string | undefined): boolean {
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}
