/**
 * Behind the door: the sliding window per client address, on the routes that ask a model only. A request is counted
 * before its body is read, so that no number of them at once exceeds the limit, and given back if it turns out not to
 * count. Every answer from behind the door says what is left.
 */
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { SlidingWindow, WindowState } from '../scheduling/sliding-window.ts';
import type { RefusalObserver, RequestContext } from './context.ts';

export interface RateLimitOptions {
  readonly clock: Clock;
  readonly window: SlidingWindow;
  readonly windowSeconds: number;
  /** Of the routes that are limited. */
  readonly paths: ReadonlySet<string>;
}

/** Refusals that cost neither the model nor a body that could be read. */
const UNCOUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 413, 415, 429]);

function counts({ code, spec }: ServingError): boolean {
  return code !== 'invalid_json' && !UNCOUNTED_STATUSES.has(spec.status);
}

export class RateLimit implements RefusalObserver {
  readonly #options: RateLimitOptions;
  /** What every answer says in the same words. */
  #constant = { limit: Number.NaN, text: '', policy: '' };

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Right behind the door, before anything there that refuses: the answer will say what is left. */
  readonly announce = (context: RequestContext): void => {
    if (this.#options.paths.has(context.routePath)) context.onRefusal = this;
  };

  /** Behind what the headers of a request alone decide. */
  readonly check = (context: RequestContext): void => {
    if (context.onRefusal === undefined) return;
    const { window, clock, windowSeconds } = this.#options;
    const verdict = window.check(context.clientId, clock.now());
    context.admission = verdict.admission;
    this.#setHeaders(context, verdict);
    if (verdict.admission !== undefined) return;
    context.onRefusal = undefined;
    const retryAfterSeconds = Math.max(1, Math.ceil(verdict.retryInMs / 1000));
    throw new ServingError('rate_limited', {
      message: `This address may send ${verdict.limit} requests in ${windowSeconds} seconds. Retry in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  };

  refused(context: RequestContext, error: ServingError): void {
    const { window, clock } = this.#options;
    const { admission } = context;
    context.onRefusal = undefined;
    if (admission !== undefined && counts(error)) return;
    const now = clock.now();
    if (admission !== undefined) window.giveBack(admission, now);
    this.#setHeaders(context, window.peek(context.clientId, now));
  }

  #setHeaders(context: RequestContext, { limit, remaining, retryInMs }: WindowState): void {
    const resetAt = Math.ceil((this.#options.clock.wallNow() + retryInMs) / 1000);
    const constant = this.#constantOf(limit);
    context.setHeader('x-ratelimit-limit', constant.text);
    context.setHeader('x-ratelimit-remaining', String(remaining));
    context.setHeader('x-ratelimit-reset', String(resetAt));
    context.setHeader('ratelimit-policy', constant.policy);
    context.setHeader('ratelimit', `"default";r=${remaining};t=${Math.ceil(retryInMs / 1000)}`);
  }

  #constantOf(limit: number) {
    if (this.#constant.limit !== limit) {
      const policy = `"default";q=${limit};w=${Math.ceil(this.#options.windowSeconds)}`;
      this.#constant = { limit, text: String(limit), policy };
    }
    return this.#constant;
  }
}
