/** First in line: gives each request its id and receipt, finds its client's address, and reports it when it is over. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import { type AddressRange, clientAddress, isInRanges, limitKey } from '../client-address.ts';
import { type OpenRequests, pathOf, type RequestScope, stampHeaders } from '../request-scope.ts';

export interface RequestContextOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly trustedProxies: readonly AddressRange[];
  readonly openRequests: OpenRequests;
  readonly leaving: () => boolean;
}

/** The last byte could not be handed over. */
const CLIENT_LEFT_STATUS = 499;
const SPOKEN_VERSIONS: ReadonlySet<string> = new Set(['1.0', '1.1']);
/** As Node itself recognises it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;
const SANE_ID = /^[\w.:-]{1,128}$/;

export function newRequestId(): string {
  return `req_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
}

export function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && SANE_ID.test(header) ? header : newRequestId();
}

/** Opens the scope of a request; its end is reported when its connection or response closes, on every path. */
export function scopeOpener(options: RequestContextOptions) {
  const { clock, telemetry, openRequests, leaving } = options;
  const warnOfUntrustedProxy = warnOnce(options);
  return (request: FastifyRequest, reply: FastifyReply): void => {
    const peer = request.socket.remoteAddress ?? 'unknown';
    const forwardedFor = request.headers['x-forwarded-for'];
    const joined = Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor;
    const address = clientAddress(peer, joined, options.trustedProxies);
    if (joined !== undefined && !isInRanges(peer, options.trustedProxies)) warnOfUntrustedProxy(peer);
    const receipt = { requestId: requestIdFrom(request.headers['x-request-id']), receivedAt: clock.now() };
    const clientId = limitKey(address);
    const scope: RequestScope = {
      receipt,
      clientAddress: address,
      clientId,
      response: reply.raw,
      leaving,
      awaitsContinue: awaitsContinue(request.raw),
    };
    request.scope = scope;
    openRequests.set(request.socket, scope);
    reply.raw.once('close', () => {
      if (openRequests.get(request.socket) === scope) openRequests.delete(request.socket);
      const status = reply.raw.writableFinished ? reply.raw.statusCode : CLIENT_LEFT_STATUS;
      const end = scope.answeredPastResponse ?? { status, at: clock.now() };
      // The route learns of the same event: its last notes are on the receipt when this turn ends.
      clock.atEndOfTurn(() =>
        telemetry.requestEnded({
          method: request.method,
          path: pathOf(request),
          route: routeOf(request),
          status: end.status,
          clientAddress: address,
          receipt,
          endedAt: end.at,
        }),
      );
    });
  };
}

export type OpenScope = ReturnType<typeof scopeOpener>;

export function addRequestContext(
  server: FastifyInstance,
  { clock, openScope }: { readonly clock: Clock; readonly openScope: OpenScope },
): void {
  server.decorateRequest('scope');
  server.addHook('onRequest', (request, reply, done) => {
    openScope(request, reply);
    const malformed = malformedBy(request.raw);
    if (malformed === undefined) return done();
    // What follows on the connection is not to be trusted either.
    reply.header('Connection', 'close');
    throw new ServingError('malformed_http', { message: malformed });
  });
  server.addHook('onSend', (_request, reply, _payload, done) => {
    stampHeaders(reply, clock);
    done();
  });
}

/**
 * What Node's parser lets pass. HTTP/1.0 stays: health checks of load balancers still speak it. Two Hosts would mean one thing
 * to a proxy in front and another here.
 */
function malformedBy({ httpVersion, rawHeaders }: IncomingMessage): string | undefined {
  if (!SPOKEN_VERSIONS.has(httpVersion)) return `HTTP/${httpVersion} is not supported. Use HTTP/1.1.`;
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
  if (hosts > 1) return 'The request has more than one Host header.';
  return hosts === 0 && httpVersion === '1.1' ? 'The request has no Host header.' : undefined;
}

/** HTTP/1.0 has no 100: its clients would take one for the answer. */
function awaitsContinue({ httpVersion, headers }: IncomingMessage): boolean {
  return httpVersion === '1.1' && CONTINUE.test(headers.expect ?? '');
}

function routeOf(request: FastifyRequest): string {
  return request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown');
}

/** Behind a proxy that is not trusted everybody shares one rate limit; say so once, with the line that mends it. */
function warnOnce({ log }: RequestContextOptions): (peer: string) => void {
  let warned = false;
  return (peer) => {
    if (warned) return;
    warned = true;
    log.warn(
      `X-Forwarded-For came from ${peer}, which is not a trusted proxy, and is ignored: all its clients share one rate limit. ` +
        `If it is your proxy, set server.trusted_proxies: ["${peer.replace(/^::ffff:/, '')}"].`,
    );
  };
}
