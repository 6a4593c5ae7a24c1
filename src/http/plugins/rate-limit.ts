/** Second in line: the sliding window per client address, on the routes that ask a model only. Counts each request once, whatever its outcome. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { SlidingWindow, WindowVerdict } from '../../scheduling/sliding-window.ts';
import { routePathOf } from '../request-scope.ts';

export interface RateLimitOptions {
  readonly clock: Clock;
  readonly window: SlidingWindow;
  readonly windowSeconds: number;
  readonly paths: ReadonlySet<string>;
}

export function addRateLimit(server: FastifyInstance, options: RateLimitOptions): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (!options.paths.has(routePathOf(request))) return done();
    const verdict = options.window.check(request.scope.clientId, options.clock.now());
    setHeaders(reply, verdict, options);
    if (verdict.admitted) return done();
    const retryAfterSeconds = Math.max(1, Math.ceil(verdict.retryInMs / 1000));
    throw new ServingError('rate_limited', {
      message: `This address may send ${verdict.limit} requests in ${options.windowSeconds} seconds. Retry in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  });
}

function setHeaders(
  reply: FastifyReply,
  verdict: WindowVerdict,
  { clock, windowSeconds }: RateLimitOptions,
): void {
  const resetAt = Math.ceil((clock.wallNow() + verdict.retryInMs) / 1000);
  reply.header('X-RateLimit-Limit', verdict.limit);
  reply.header('X-RateLimit-Remaining', verdict.remaining);
  reply.header('X-RateLimit-Reset', resetAt);
  reply.header('RateLimit-Policy', `"default";q=${verdict.limit};w=${Math.ceil(windowSeconds)}`);
  reply.header('RateLimit', `"default";r=${verdict.remaining};t=${Math.ceil(verdict.retryInMs / 1000)}`);
}
