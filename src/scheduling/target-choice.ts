/**
 * Chooses the target of a request, of those that have room: 1. a target that waits for its trial; 2. the prompt's home, or its next
 * one where that has too much to do; 3. the one that the policy prefers. Runs for each request, so it allocates nothing.
 */
import type { QueuedRequest } from './queued-request.ts';
import { draw, isCrowded, suitsBetter } from './rendezvous.ts';
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
  readonly #context: { tokensPerRequest: number; random: () => number };
  /** The targets that may get the request; only the first `#count` count. Kept from request to request, so nothing is allocated. */
  readonly #candidates: Target[] = [];
  #count = 0;
  #trial: Target | undefined;

  constructor(options: ChoiceOptions) {
    this.#options = options;
    this.#context = { tokensPerRequest: 0, random: options.routing.random };
  }

  /** Undefined where none has room. `tokensPerRequest`: mean of what runs. */
  choose(targets: readonly Target[], request: QueuedRequest, tokensPerRequest: number): Target | undefined {
    this.#context.tokensPerRequest = tokensPerRequest;
    this.#context.random = this.#options.routing.random;
    this.#look(targets, request);
    const isRetry = request.entry.retry !== undefined;
    // Without a request it would never come back; but one that has failed before does not try it while another target has room.
    const trial = this.#trial;
    if (trial !== undefined && !isRetry) return trial;
    const serving = this.#home(request) ?? this.#preferred(request) ?? trial;
    return serving ?? (isRetry ? this.#lastResort(targets, request) : undefined);
  }

  /** Where a prompt goes when all targets have room; undefined where it makes no difference. */
  homeOf(targets: readonly Target[], request: QueuedRequest): Target | undefined {
    const { beginning } = request.prefix;
    if (!this.#options.routing.prefixAffinity || beginning === undefined) return undefined;
    this.#look(targets, request);
    return this.#count > 1 ? this.#mostSuited(beginning) : undefined;
  }

  /** Which targets may get it, only fallback ones while no primary one serves; and whether one waits for its trial. */
  #look(targets: readonly Target[], request: QueuedRequest): void {
    const { retry } = request.entry;
    let role: Target['role'] = 'fallback';
    let trial: Target | undefined;
    this.#count = 0;
    for (const target of targets) {
      if (!serves(target) || (retry !== undefined && !meets(target, retry))) continue;
      if (target.state === 'probing') {
        trial = this.#betterTrial(trial, target, request);
        continue;
      }
      if (role === 'fallback' && target.role === 'primary') {
        role = 'primary';
        this.#count = 0;
      }
      if (target.role !== role) continue;
      this.#candidates[this.#count] = target;
      this.#count += 1;
    }
    // While a primary target serves, a fallback one has no trial either.
    this.#trial = trial?.role === 'fallback' && role === 'primary' ? undefined : trial;
  }

  #betterTrial(
    trial: Target | undefined,
    target: Target,
    { chargedTokens }: QueuedRequest,
  ): Target | undefined {
    const isPreferred = trial === undefined || (trial.role === 'fallback' && target.role === 'primary');
    return isPreferred && hasRoom(target, chargedTokens, this.#options.maxTokensInFlight) ? target : trial;
  }

  #home({ chargedTokens, prefix: { beginning } }: QueuedRequest): Target | undefined {
    if (!this.#options.routing.prefixAffinity || beginning === undefined || this.#count < 2) return undefined;
    let requests = 0;
    let shares = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const target = this.#candidates[index];
      if (target === undefined) break;
      target.requests = requestsAt(target, this.#context);
      requests += target.requests;
      shares += target.share;
    }
    return this.#mostSuited(beginning, requests / shares, chargedTokens);
  }

  /** Of the candidates, or of those with room for so many tokens that have no more than their part of the requests. */
  #mostSuited(beginning: number, requestsPerShare?: number, tokens = 0): Target | undefined {
    const { maxTokensInFlight } = this.#options;
    let home: Target | undefined;
    let best = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const target = this.#candidates[index];
      if (target === undefined) break;
      const drawn = draw(target, beginning);
      if (home !== undefined && !suitsBetter(drawn, target.share, best, home.share)) continue;
      if (requestsPerShare !== undefined) {
        if (isCrowded(target.requests, target.share * requestsPerShare)) continue;
        if (!hasRoom(target, tokens, maxTokensInFlight)) continue;
      }
      best = drawn;
      home = target;
    }
    return home;
  }

  #preferred({ chargedTokens }: QueuedRequest): Target | undefined {
    const { routing, maxTokensInFlight } = this.#options;
    const policy: RoutingPolicy = ROUTING_POLICIES[routing.policy];
    const context: RoutingContext = this.#context;
    let preferred: Target | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#count; index += 1) {
      const target = this.#candidates[index];
      if (target === undefined) break;
      if (!hasRoom(target, chargedTokens, maxTokensInFlight)) continue;
      const score = policy(target, context);
      if (preferred !== undefined && score >= lowest) continue;
      lowest = score;
      preferred = target;
    }
    return preferred;
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
}
