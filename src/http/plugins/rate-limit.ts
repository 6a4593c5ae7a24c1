/**
 * Behind the door: the sliding window per client address, on the routes that ask a model only. A request is counted
 * before its body is read, so that no number of them at once exceeds the limit, and given back if it turns out not to
 * count. Every answer from behind the door says what is left.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { Admission, SlidingWindow, WindowState } from '../../scheduling/sliding-window.ts';
import { routePathOf } from '../request-scope.ts';

export interface RateLimitOptions {
  readonly clock: Clock;
  readonly window: SlidingWindow;
  readonly windowSeconds: number;
  readonly paths: ReadonlySet<string>;
}

/** Refusals that cost neither the model nor a body that could be read. */
const UNCOUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 413, 415, 429]);

function counts({ code, spec }: ServingError): boolean {
  return code !== 'invalid_json' && !UNCOUNTED_STATUSES.has(spec.status);
}

/** Stands right behind the door, before anything there that refuses. */
export function addRateLimitHeaders(server: FastifyInstance, options: RateLimitOptions): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (options.paths.has(routePathOf(request)))
      setHeaders(reply, options.window.peek(request.scope.clientId, options.clock.now()), options);
    done();
  });
}

/** Stands behind what the headers of a request alone decide. */
export function addRateLimit(server: FastifyInstance, options: RateLimitOptions): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (!options.paths.has(routePathOf(request))) return done();
    const verdict = options.window.check(request.scope.clientId, options.clock.now());
    setHeaders(reply, verdict, options);
    if (verdict.admission !== undefined) {
      giveBackIfRefused({ request, reply, options, admission: verdict.admission });
      return done();
    }
    const retryAfterSeconds = Math.max(1, Math.ceil(verdict.retryInMs / 1000));
    throw new ServingError('rate_limited', {
      message: `This address may send ${verdict.limit} requests in ${options.windowSeconds} seconds. Retry in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  });
}

function giveBackIfRefused(counted: {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: RateLimitOptions;
  readonly admission: Admission;
}): void {
  const { request, reply, options, admission } = counted;
  const { scope } = request;
  scope.onRefusal = (error) => {
    scope.onRefusal = undefined;
    if (counts(error)) return;
    const now = options.clock.now();
    options.window.giveBack(admission, now);
    setHeaders(reply, options.window.peek(scope.clientId, now), options);
  };
}

function setHeaders(
  reply: FastifyReply,
  { limit, remaining, retryInMs }: WindowState,
  { clock, windowSeconds }: RateLimitOptions,
): void {
  const resetAt = Math.ceil((clock.wallNow() + retryInMs) / 1000);
  reply.header('X-RateLimit-Limit', limit);
  reply.header('X-RateLimit-Remaining', remaining);
  reply.header('X-RateLimit-Reset', resetAt);
  reply.header('RateLimit-Policy', `"default";q=${limit};w=${Math.ceil(windowSeconds)}`);
  reply.header('RateLimit', `"default";r=${remaining};t=${Math.ceil(retryInMs / 1000)}`);
}
