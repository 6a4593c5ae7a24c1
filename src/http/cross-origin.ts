/**
 * What browsers ask before they let a page call: preflights are answered here, before the door, as they carry no key and
 * must not count; the answers that such a page gets say that it may read them. The door itself is in access.ts.
 */
import type { IncomingMessage } from 'node:http';
import { ServingError } from '../core/errors.ts';
import { DROPPED_HEADER, type RequestContext } from './context.ts';
import { mayCall, type OriginPolicy, refusalOf } from './origins.ts';
import { LOWERED_HEADER, PRIORITY_HEADER } from './scheduling-wishes.ts';
import type { Step } from './step.ts';

/** Those of our headers that a page may read, beside the few that it always may. */
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
  'Server-Timing',
  'WWW-Authenticate',
  'Allow',
];

const EXPOSED = EXPOSED_HEADERS.join(', ');
const METHODS = 'GET, HEAD, POST';
/** For so long a browser need not ask again. */
const PREFLIGHT_SECONDS = '600';

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
  // A page from the Internet asks whether it may reach into a private network.
  if (headers['access-control-request-private-network'] === 'true')
    context.setHeader('access-control-allow-private-network', 'true');
  context.setHeader('access-control-max-age', PREFLIGHT_SECONDS);
  context.answer(204);
}
