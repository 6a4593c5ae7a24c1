/** Limits per client: the rate of requests to models (`RateLimit`), and open connections (`ConnectionLimit`). */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { SlidingWindow, type WindowState } from '../scheduling/sliding-window.ts';
import { isInRanges, limitKey } from './client-address.ts';
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

type ConnectionBound = 'max_connections' | 'max_connections_per_address';

type ConnectionLimits = Pick<EdgeSettings, 'maxConnections' | 'maxConnectionsPerAddress' | 'trustedProxies'>;

/**
 * Limits open connections, in all and per address. A connection above a limit is closed at once, unread: answering it would cost what
 * the limit is there to save. Invariant: a connection is counted exactly once, until it is closed.
 */
export class ConnectionLimit {
  readonly #settings: ConnectionLimits;
  readonly #perAddress = new Map<string, number>();
  #open = 0;

  constructor(settings: ConnectionLimits) {
    this.#settings = settings;
  }

  get open(): number {
    return this.#open;
  }

  /** Counts a connection, or returns the bound that it would exceed. */
  admit(address: string): { readonly close: () => void } | { readonly exceeds: ConnectionBound } {
    const { maxConnections, maxConnectionsPerAddress } = this.#settings;
    const key = this.#isExempt(address) ? undefined : limitKey(address);
    const ofAddress = key === undefined ? 0 : (this.#perAddress.get(key) ?? 0);
    if (this.#open >= maxConnections) return { exceeds: 'max_connections' };
    if (ofAddress >= maxConnectionsPerAddress) return { exceeds: 'max_connections_per_address' };
    this.#open += 1;
    if (key !== undefined) this.#perAddress.set(key, ofAddress + 1);
    let isOpen = true;
    return {
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#open -= 1;
        if (key !== undefined) this.#leave(key);
      },
    };
  }

  #leave(key: string): void {
    const left = (this.#perAddress.get(key) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(key, left);
    else this.#perAddress.delete(key);
  }

  #isExempt(address: string): boolean {
    const isLoopback = ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
    return isLoopback || isInRanges(address, this.#settings.trustedProxies);
  }
}

export function limitConnections(
  server: Server,
  options: {
    readonly limit: ConnectionLimit;
    readonly log: Log;
    readonly onRefused: (bound: ConnectionBound) => void;
  },
): void {
  const warned = new Set<ConnectionBound>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? 'unknown';
    const admission = options.limit.admit(address);
    if ('close' in admission) {
      socket.once('close', admission.close);
      return;
    }
    const { exceeds } = admission;
    socket.destroy();
    options.onRefused(exceeds);
    if (warned.has(exceeds)) return;
    warned.add(exceeds);
    options.log.warn(
      `A connection from ${address} was closed: server.${exceeds} is reached. Further ones are only counted (llm_serve_connections_refused_total).`,
    );
  });
}
