/** Renders whatever was thrown, once: by the protocol whose path it is. */
import type { FastifyInstance } from 'fastify';
import { ServingError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Protocol } from '../../protocols/protocol.ts';
import { fromFastify, prepareError } from '../error-reply.ts';
import { pathOf, routePathOf } from '../request-scope.ts';

export interface ErrorOptions {
  readonly log: Log;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors' | 'requestIdHeader'>;
}

export function addErrors(server: FastifyInstance, { log, protocolAt }: ErrorOptions): void {
  server.setErrorHandler(async (thrown, request, reply) => {
    const error = fromFastify(thrown);
    if (error.code === 'internal') {
      const stack = thrown instanceof Error ? thrown.stack : String(thrown);
      log.error('unexpected error', { requestId: request.scope.receipt.requestId, stack });
    }
    const { errors, requestIdHeader } = protocolAt(routePathOf(request));
    request.scope.requestIdHeader = requestIdHeader;
    const { status, body } = errors.render(error, request.scope.receipt.requestId);
    prepareError(reply, error, status);
    return body;
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
