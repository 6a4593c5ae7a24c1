/** Renders whatever was thrown, once: by the protocol whose path it is. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Protocol } from '../../protocols/protocol.ts';
import { fromFastify, prepareError } from '../error-reply.ts';
import { pathOf, routePathOf } from '../request-scope.ts';

/** Enough for what a fast client has under way; a slow one is not waited for. */
const READ_ON_MS = 2000;

export interface ErrorOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors' | 'requestIdHeader' | 'bodyLimit'>;
}

export function addErrors(server: FastifyInstance, { clock, log, protocolAt }: ErrorOptions): void {
  server.setErrorHandler(async (thrown, request, reply) => {
    const { errors, requestIdHeader, bodyLimit } = protocolAt(routePathOf(request));
    const error = fromFastify(thrown, bodyLimit);
    if (error.code === 'internal') {
      const stack = thrown instanceof Error ? thrown.stack : String(thrown);
      log.error('unexpected error', { requestId: request.scope.receipt.requestId, stack });
    }
    request.scope.requestIdHeader = requestIdHeader;
    const { status, body } = errors.render(error, request.scope.receipt.requestId);
    prepareError(reply, error, status);
    if (isCutShort(request, reply)) await restOfBody(request.raw, clock);
    return body;
  });
}

/** The reading of its body was given up, after which the framework closes the connection. */
function isCutShort({ raw, scope }: FastifyRequest, reply: FastifyReply): boolean {
  return reply.getHeader('connection') === 'close' && !raw.complete && !scope.awaitsContinue;
}

/**
 * Reads on for a moment and throws away: a connection that is closed while its client still sends is reset, and the client
 * never sees why.
 */
function restOfBody(body: IncomingMessage, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const limit = clock.schedule(READ_ON_MS, resolve);
    body.once('close', () => {
      limit.cancel();
      resolve();
    });
    body.resume();
  });
}

/** A path we know, asked with another method, is a 405 that says which methods it takes; any other is a 404. */
export function addNotFound(server: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>();
  server.addHook('onRoute', ({ url, method }) => {
    const methods = methodsOf.get(url) ?? new Set();
    for (const name of Array.isArray(method) ? method : [method]) methods.add(name);
    methodsOf.set(url, methods);
  });
  server.setNotFoundHandler(() => {
    throw new ServingError('not_found');
  });
  // In a hook and not in the handler: the body of such a request is not even read.
  server.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) return done();
    const path = pathOf(request);
    const methods = methodsOf.get(path);
    if (!methods)
      throw new ServingError('not_found', {
        message: `There is nothing at ${path}. GET /docs lists what is here.`,
      });
    const allow = [...methods].sort().join(', ');
    throw new ServingError('method_not_allowed', {
      message: `${path} does not take ${request.method}, but ${allow}.`,
      allow,
    });
  });
}
