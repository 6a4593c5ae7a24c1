/**
 * The HTTP edge. The order of the calls in `buildServer` is the life of a request: context, cross-origin, door, body's
 * headers, rate limit, not found, body, route; errors thrown anywhere are rendered once, by `errors`.
 */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { PROTOCOLS } from '../protocols/catalog.ts';
import type { SlidingWindow } from '../scheduling/sliding-window.ts';
import type { Serving } from '../serving/serving.ts';
import type { BodyBudget } from './body-budget.ts';
import type { AddressRange } from './client-address.ts';
import { answerClientError, type ClientErrorOptions, takeOverNodeAnswers } from './client-errors.ts';
import { type ConnectionLimit, limitConnections } from './connection-limit.ts';
import { fromFastify, prepareError } from './error-reply.ts';
import { addAccess } from './plugins/access.ts';
import { addApiDocs } from './plugins/api-docs.ts';
import { addCrossOrigin } from './plugins/cross-origin.ts';
import { addErrors, addNotFound } from './plugins/errors.ts';
import { addJsonBody } from './plugins/json-body.ts';
import { addRateLimit, addRateLimitHeaders } from './plugins/rate-limit.ts';
import { addRequestContext, type OpenScope, scopeOpener } from './plugins/request-context.ts';
import { pathOf, stampHeaders } from './request-scope.ts';
import type { GenerationOptions } from './routes/generation.ts';
import { addOperationsRoutes } from './routes/operations.ts';
import { addProtocolRoutes, protocolAt } from './routes/protocols.ts';
import type { QueryOptions } from './routes/queries.ts';

export interface ServerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly serving: Serving;
  readonly version: string;
  readonly trustedProxies: readonly AddressRange[];
  readonly onLoopback: boolean;
  readonly apiKeys: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxAddresses: number;
  readonly bodyLimitBytes: number;
  readonly mediaBodyLimitBytes: number;
  readonly bodyTimeoutSeconds: number;
  readonly bodyBudget: BodyBudget;
  readonly connectionLimit: ConnectionLimit;
  readonly generation: Omit<GenerationOptions, 'clock' | 'serving'>;
  readonly pull: QueryOptions['pull'];
  /** Absent: the limiter is off. */
  readonly rateLimit: { readonly window: SlidingWindow; readonly windowSeconds: number } | undefined;
}

/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 72_000;
/** How often Node looks for requests that are too slow; its default of 30 s would triple our limit. */
const CHECK_CONNECTIONS_MS = 1000;

export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { clock, serving, telemetry } = options;
  const leaving = () => serving.drain.draining;
  const edge = { ...options, openRequests: new WeakMap(), protocolAt, leaving };
  const openScope = scopeOpener(edge);
  const server = newFastify(edge, openScope);
  addRequestContext(server, { clock, openScope });
  addErrors(server, { clock, log: options.log, protocolAt });
  addCrossOrigin(server, options);
  addAccess(server, options);
  const rateLimit = options.rateLimit && { clock, paths: LIMITED_PATHS, ...options.rateLimit };
  if (rateLimit) addRateLimitHeaders(server, rateLimit);
  addJsonBody(server, { clock, budget: options.bodyBudget, anyTypePaths: ANY_TYPE_PATHS });
  if (rateLimit) addRateLimit(server, rateLimit);
  addNotFound(server);
  await addApiDocs(server, options);
  addProtocolRoutes(server, {
    ...options.generation,
    clock,
    serving,
    version: options.version,
    startedAt: clock.wallNow(),
    pull: options.pull,
    bodyLimits: { text: options.bodyLimitBytes, media: options.mediaBodyLimitBytes },
  });
  addOperationsRoutes(server, { clock, serving, telemetry, version: options.version });
  return server;
}

/** What costs the model, or the machine, is limited. */
const LIMITED_PATHS: ReadonlySet<string> = new Set(
  PROTOCOLS.flatMap(({ routes }) => routes)
    .filter((route) => route.kind !== 'query' || route.limited)
    .map(({ path }) => path),
);

const ANY_TYPE_PATHS: ReadonlySet<string> = new Set(
  PROTOCOLS.filter(({ contentTypes }) => contentTypes === 'any').flatMap(({ routes }) =>
    routes.map(({ path }) => path),
  ),
);

function newFastify(options: ServerOptions & ClientErrorOptions, openScope: OpenScope): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: options.bodyTimeoutSeconds * 1000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    http: {
      headersTimeout: options.bodyTimeoutSeconds * 1000,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      // A missing Host gets our own answer instead of Node's bare one.
      requireHostHeader: false,
      noDelay: true,
    },
    clientErrorHandler: answerClientError(options),
    // A path that cannot be decoded: the framework runs no hooks for it.
    frameworkErrors: (thrown, request, untypedReply) => {
      const reply = untypedReply as unknown as FastifyReply;
      openScope(request, reply);
      const error = fromFastify(thrown);
      const { errors } = protocolAt(pathOf(request));
      const { status, body } = errors.render(error, request.scope.receipt.requestId);
      prepareError(reply, error, status);
      stampHeaders(reply, options.clock);
      reply.type('application/json; charset=utf-8').serializer(String).send(JSON.stringify(body));
    },
  });
  takeOverNodeAnswers(server.server);
  limitConnections(server.server, {
    limit: options.connectionLimit,
    log: options.log,
    onRefused: (bound) => options.telemetry.connectionRefused(bound),
  });
  return server;
}
