/**
 * Chooses the target of a request, of those that have room: 1. a target that waits for its trial; 2. the prompt's home, or its next
 * one where that has too much to do; 3. the one that the policy prefers. Runs for each request, so it allocates nothing.
 */
import type { QueuedRequest } from './queued-request.ts';
import { isCrowded, suitability } from './rendezvous.ts';
import {
  ROUTING_POLICIES,
  type RoutingContext,
  type RoutingOptions,
  type RoutingPolicy,
  requestsAt,
} from './routing.ts';
import { hasRoom, meets, serves, type Target } from './target.ts';

/** Read for each request: a reload may change them. */
interface ChoiceOptions {
  readonly routing: RoutingOptions;
  readonly maxTokensInFlight: number;
}

export class TargetChoice {
  readonly #options: ChoiceOptions;
  readonly #context: { tokensPerRequest: number; readonly random: () => number };
  /** Of the targets that may get the request: only fallback ones while no primary one serves. */
  #role: Target['role'] = 'fallback';
  #candidates = 0;
  #requests = 0;
  #shares = 0;
  #trial: Target | undefined;

  constructor(options: ChoiceOptions) {
    this.#options = options;
    this.#context = { tokensPerRequest: 0, random: () => options.routing.random() };
  }

  /** Undefined where none has room. `tokensPerRequest`: mean of what runs. */
  choose(targets: readonly Target[], request: QueuedRequest, tokensPerRequest: number): Target | undefined {
    this.#context.tokensPerRequest = tokensPerRequest;
    this.#look(targets, request);
    const isRetry = request.entry.retry !== undefined;
    // Without a request it would never come back; but one that has failed before does not try it while another target has room.
    const trial = this.#trial;
    if (trial !== undefined && !isRetry) return trial;
    const serving = this.#home(targets, request) ?? this.#preferred(targets, request) ?? trial;
    return serving ?? (isRetry ? this.#lastResort(targets, request) : undefined);
  }

  /** Where no target that serves is left for the request: an ejected one may work again. */
  #lastResort(targets: readonly Target[], { chargedTokens, entry }: QueuedRequest): Target | undefined {
    let ejected: Target | undefined;
    for (const target of targets) {
      if (entry.retry !== undefined && !meets(target, entry.retry)) continue;
      if (serves(target)) return undefined;
      if (target.state === 'ejected' && hasRoom(target, chargedTokens, this.#options.maxTokensInFlight))
        ejected ??= target;
    }
    return ejected;
  }

  /** Where a prompt goes when all targets have room; undefined where it makes no difference. */
  homeOf(targets: readonly Target[], request: QueuedRequest): Target | undefined {
    const { beginning } = request.prefix;
    if (!this.#options.routing.prefixAffinity || beginning === undefined) return undefined;
    this.#look(targets, request);
    let home: Target | undefined;
    let best = 0;
    for (const target of targets) {
      if (!this.#isCandidate(target, request)) continue;
      const suits = suitability(target, beginning);
      if (suits <= best) continue;
      best = suits;
      home = target;
    }
    return this.#candidates > 1 ? home : undefined;
  }

  /** Which targets count, what runs there, and whether one waits for its trial. */
  #look(targets: readonly Target[], request: QueuedRequest): void {
    const { retry } = request.entry;
    this.#role = 'fallback';
    this.#candidates = 0;
    this.#requests = 0;
    this.#shares = 0;
    let trial: Target | undefined;
    for (const target of targets) {
      if (!serves(target) || (retry !== undefined && !meets(target, retry))) continue;
      if (target.state === 'probing') {
        trial = this.#betterTrial(trial, target, request);
        continue;
      }
      if (this.#role === 'fallback' && target.role === 'primary') {
        this.#role = 'primary';
        this.#candidates = 0;
        this.#requests = 0;
        this.#shares = 0;
      }
      if (target.role !== this.#role) continue;
      target.requests = requestsAt(target, this.#context);
      this.#candidates += 1;
      this.#requests += target.requests;
      this.#shares += target.share;
    }
    // While a primary target serves, a fallback one has no trial either.
    this.#trial = trial?.role === 'fallback' && this.#role === 'primary' ? undefined : trial;
  }

  #betterTrial(
    trial: Target | undefined,
    target: Target,
    { chargedTokens }: QueuedRequest,
  ): Target | undefined {
    const isPreferred = trial === undefined || (trial.role === 'fallback' && target.role === 'primary');
    return isPreferred && hasRoom(target, chargedTokens, this.#options.maxTokensInFlight) ? target : trial;
  }

  #isCandidate(target: Target, { entry: { retry } }: QueuedRequest): boolean {
    if (target.state !== 'ready' || target.role !== this.#role) return false;
    return retry === undefined || meets(target, retry);
  }

  #home(targets: readonly Target[], request: QueuedRequest): Target | undefined {
    const { beginning } = request.prefix;
    if (!this.#options.routing.prefixAffinity || beginning === undefined || this.#candidates < 2)
      return undefined;
    let home: Target | undefined;
    let best = 0;
    for (const target of targets) {
      if (!this.#isCandidate(target, request)) continue;
      if (!hasRoom(target, request.chargedTokens, this.#options.maxTokensInFlight)) continue;
      if (isCrowded(target.requests, (target.share / this.#shares) * this.#requests)) continue;
      const suits = suitability(target, beginning);
      if (suits <= best) continue;
      best = suits;
      home = target;
    }
    return home;
  }

  #preferred(targets: readonly Target[], request: QueuedRequest): Target | undefined {
    const context: RoutingContext = this.#context;
    const policy: RoutingPolicy = ROUTING_POLICIES[this.#options.routing.policy];
    let preferred: Target | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (const target of targets) {
      if (!this.#isCandidate(target, request)) continue;
      if (!hasRoom(target, request.chargedTokens, this.#options.maxTokensInFlight)) continue;
      const score = policy(target, context);
      if (preferred !== undefined && score >= lowest) continue;
      lowest = score;
      preferred = target;
    }
    return preferred;
  }
}
