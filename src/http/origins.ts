/**
 * Which web pages may call: those of listed origins, and on loopback without keys the pages of this machine, under its own names.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { ServingError } from '../core/errors.ts';
import { PROTOCOLS } from '../protocols/catalog.ts';
import {
  ATTEMPTS_HEADER,
  DROPPED_HEADER,
  type RequestContext,
  SERVED_MODEL_HEADER,
  SERVED_TARGET_HEADER,
  type Step,
} from './context.ts';
import { LOWERED_HEADER, PRIORITY_HEADER } from './model-request.ts';
import type { EdgeSettings } from './settings.ts';
import { hostNameOf, isLoopbackName } from './this-machine.ts';

type OriginPolicy = Pick<EdgeSettings, 'onLoopback' | 'corsOrigins'>;

/** The Host of nearly every request; others are parsed. */
const USUAL_LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/**
 * Pages of other sites may load any address as an image or a frame, and browsers send no Origin then. They would see nothing of the
 * stream, but keep a place among its readers.
 */
export function refuseEmbedding({ origin, 'sec-fetch-site': site }: IncomingHttpHeaders, path: string): void {
  if (site !== 'cross-site' || origin !== undefined) return;
  throw new ServingError('forbidden', {
    message: `${path} cannot be opened from a page of another site. Open it in its own tab, or ask with fetch from an origin of server.cors_origins.`,
  });
}

export function checkHostAndOrigin({ host, origin }: IncomingHttpHeaders, policy: OriginPolicy): void {
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
  ...PROTOCOLS.flatMap(({ limitHeaders }) => limitHeaders?.names ?? []),
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
const METHODS = 'GET, HEAD, POST, PATCH';
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
