/**
 * What browsers ask before they let a page call: preflights are answered here, before the door, as they carry no key and
 * must not count; the answers that such a page gets say that it may read them. The door itself is in access.ts.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ServingError } from '../../core/errors.ts';
import { mayCall, type OriginPolicy, refusalOf } from '../origins.ts';
import { DROPPED_HEADER } from '../request-scope.ts';
import { LOWERED_HEADER, PRIORITY_HEADER } from '../scheduling-wishes.ts';

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

const METHODS = 'GET, HEAD, POST';
/** For so long a browser need not ask again. */
const PREFLIGHT_SECONDS = 600;

export function addCrossOrigin(server: FastifyInstance, policy: OriginPolicy): void {
  server.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined) return done();
    const allowed = mayCall(origin, policy);
    reply.header('Vary', 'Origin');
    if (allowed) reply.header('Access-Control-Allow-Origin', policy.corsOrigins.includes('*') ? '*' : origin);
    if (!isPreflight(request)) {
      if (allowed) reply.header('Access-Control-Expose-Headers', EXPOSED_HEADERS.join(', '));
      return done();
    }
    if (!allowed) throw new ServingError('forbidden', { message: refusalOf(origin) });
    answerPreflight(request, reply);
  });
}

function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** A page may send any header: unknown ones are not read. */
function answerPreflight({ headers }: FastifyRequest, reply: FastifyReply): void {
  reply.header('Vary', 'Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network');
  reply.header('Access-Control-Allow-Methods', METHODS);
  const wanted = headers['access-control-request-headers'];
  if (wanted !== undefined) reply.header('Access-Control-Allow-Headers', wanted);
  // A page from the Internet asks whether it may reach into a private network.
  if (headers['access-control-request-private-network'] === 'true')
    reply.header('Access-Control-Allow-Private-Network', 'true');
  reply.header('Access-Control-Max-Age', PREFLIGHT_SECONDS);
  reply.code(204).send();
}
