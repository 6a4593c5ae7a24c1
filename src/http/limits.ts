/** The rate of requests to models, limited per client. */
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { SlidingWindow, type WindowState } from '../scheduling/sliding-window.ts';
import type { RefusalObserver, RequestContext } from './context.ts';
import { type EdgeSettings, madeOf } from './settings.ts';

interface RateLimitOptions {
  readonly clock: Clock;
  readonly settings: Pick<EdgeSettings, 'rateLimit' | 'maxAddresses'>;
  /** Paths of the limited routes. */
  readonly paths: ReadonlySet<string>;
  readonly onDecision: (decision: 'allowed' | 'limited') => void;
}

/** Errors before any work was done for the request. */
const UNCOUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 413, 415, 429]);

function isCounted({ code, spec }: ServingError): boolean {
  return code !== 'invalid_json' && !UNCOUNTED_STATUSES.has(spec.status);
}

/**
 * A sliding window per client address, on the routes that ask a model. A request is counted before its body is read, so that no burst
 * exceeds the limit, and taken back if it turns out not to count. The headers of every answer show what remains.
 */
export class RateLimit implements RefusalObserver {
  readonly #options: RateLimitOptions;
  /** Undefined while the limiter is off. */
  readonly #limiter: () => Limiter | undefined;

  constructor(options: RateLimitOptions) {
    const { settings } = options;
    this.#options = options;
    let window: SlidingWindow | undefined;
    this.#limiter = madeOf(
      () => settings.rateLimit,
      (rateLimit) => {
        if (rateLimit === undefined) return undefined;
        const bounds = { limit: rateLimit.requests, windowMs: rateLimit.windowSeconds * 1000 };
        // Other bounds do not forget what was counted.
        if (window === undefined) window = new SlidingWindow({ ...bounds, maxKeys: settings.maxAddresses });
        else window.setBounds(bounds);
        return limiterOf(window, rateLimit);
      },
    );
  }

  /** After the key was checked, before any step that refuses: from here on the answer has the limiter's headers. */
  readonly announce = (context: RequestContext): void => {
    if (this.#limiter() !== undefined && this.#options.paths.has(context.routePath)) context.onRefusal = this;
  };

  /** After the steps that look only at the headers of a request. */
  readonly check = (context: RequestContext): void => {
    const limiter = this.#limiter();
    if (context.onRefusal === undefined || limiter === undefined) return;
    const verdict = limiter.window.check(context.client, this.#options.clock.now());
    context.admission = verdict.admission;
    this.#options.onDecision(verdict.admission === undefined ? 'limited' : 'allowed');
    this.#setHeaders(context, limiter, verdict);
    if (verdict.admission !== undefined) return;
    context.onRefusal = undefined;
    const retryAfterSeconds = Math.max(1, Math.ceil(verdict.retryInMs / 1000));
    throw new ServingError('rate_limited', {
      message: `This address may send ${verdict.limit} requests in ${limiter.windowSeconds} seconds. Retry in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  };

  refused(context: RequestContext, error: ServingError): void {
    const { admission } = context;
    const limiter = this.#limiter();
    context.onRefusal = undefined;
    if (limiter === undefined || (admission !== undefined && isCounted(error))) return;
    const now = this.#options.clock.now();
    if (admission !== undefined) limiter.window.giveBack(admission, now);
    this.#setHeaders(context, limiter, limiter.window.peek(context.client, now));
  }

  #setHeaders(context: RequestContext, limiter: Limiter, { remaining, retryInMs }: WindowState): void {
    const resetAt = Math.ceil((this.#options.clock.wallNow() + retryInMs) / 1000);
    context.setHeader('x-ratelimit-limit', limiter.limitHeader);
    context.setHeader('x-ratelimit-remaining', String(remaining));
    context.setHeader('x-ratelimit-reset', String(resetAt));
    context.setHeader('ratelimit-policy', limiter.policyHeader);
    context.setHeader('ratelimit', `"default";r=${remaining};t=${Math.ceil(retryInMs / 1000)}`);
  }
}

interface Limiter {
  readonly window: SlidingWindow;
  readonly windowSeconds: number;
  /** The same in every answer. */
  readonly limitHeader: string;
  readonly policyHeader: string;
}

function limiterOf(
  window: SlidingWindow,
  { requests, windowSeconds }: NonNullable<EdgeSettings['rateLimit']>,
): Limiter {
  const policyHeader = `"default";q=${requests};w=${Math.ceil(windowSeconds)}`;
  return { window, windowSeconds, limitHeader: String(requests), policyHeader };
}
