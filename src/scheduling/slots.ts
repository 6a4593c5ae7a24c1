/**
 * The targets of one model, and the requests that hold their slots. Invariant: a target's `used` and `tokensInFlight` are the sums
 * over the requests that run on it, and within its bounds, except for a request that runs alone. The record of what a target has
 * cached is dropped when it goes down.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { Alternative, EntryId, Outcome, SchedulerTarget, TargetId, TargetNeeds } from './decision.ts';
import type { Flow } from './fair-share.ts';
import { IdlePrefixes } from './prefix-affinity.ts';
import { NO_PREFIX } from './prefix-fingerprint.ts';
import type { QueuedRequest } from './queued-request.ts';
import { WorkSum } from './work.ts';

export interface Target {
  readonly id: TargetId;
  state: SchedulerTarget['state'];
  role: 'primary' | 'fallback';
  /** Tokens per slot, where it is known. */
  contextSize: number | undefined;
  degraded: boolean;
  slots: number;
  used: number;
  /** Estimated tokens of the requests that run there. */
  tokensInFlight: number;
  /** Of a target that caches prefixes; a new one each time it comes back. */
  idle: IdlePrefixes | undefined;
  /** The one request that it got while probing. */
  trial: EntryId | undefined;
}

interface Running {
  readonly target: Target;
  /** Where its slot is returned to. */
  readonly idle: IdlePrefixes | undefined;
  readonly granted: QueuedRequest;
  /** The flow whose account is settled. */
  readonly flow: Flow<QueuedRequest> | undefined;
  readonly dispatchedAt: Milliseconds;
}

export class Slots {
  readonly #maxTokensInFlight: number;
  readonly #targets = new Map<TargetId, Target>();
  readonly #running = new Map<EntryId, Running>();
  readonly work = new WorkSum();

  constructor(options: { readonly maxTokensInFlight: number }) {
    this.#maxTokensInFlight = options.maxTokensInFlight;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Of all targets that get requests. */
  get usable(): number {
    let slots = 0;
    for (const { state, slots: all } of this.#targets.values()) {
      if (state === 'ready') slots += all;
      else if (state === 'probing') slots += 1;
    }
    return slots;
  }

  /** Requests can be sent to one of them now, or when it has a free slot. */
  get serve(): boolean {
    for (const target of this.#targets.values()) if (serves(target)) return true;
    return false;
  }

  hasTarget(state: SchedulerTarget['state']): boolean {
    for (const target of this.#targets.values()) if (target.state === state) return true;
    return false;
  }

  usedOf(target: TargetId): { readonly slots: number; readonly tokens: number } {
    const { used = 0, tokensInFlight = 0 } = this.#targets.get(target) ?? {};
    return { slots: used, tokens: tokensInFlight };
  }

  setTarget(given: SchedulerTarget): void {
    const {
      id,
      slots,
      state,
      role = 'primary',
      contextSize,
      degraded = false,
      cachesPrefixes = false,
    } = given;
    const known = this.#targets.get(id);
    const target = known ?? {
      id,
      state,
      role,
      contextSize,
      degraded,
      slots,
      used: 0,
      tokensInFlight: 0,
      idle: undefined,
      trial: undefined,
    };
    if (!known) this.#targets.set(id, target);
    target.slots = slots;
    target.state = state;
    target.role = role;
    target.contextSize = contextSize;
    target.degraded = degraded;
    if (state !== 'probing') target.trial = undefined;
    const isAway = state === 'loading' || state === 'down';
    if (isAway || !cachesPrefixes || !target.idle)
      target.idle = cachesPrefixes ? new IdlePrefixes() : undefined;
    target.idle?.fit(slots - target.used);
  }

  /** It gets nothing more; what runs there goes on, and is counted in the answer until it has ended. */
  removeTarget(id: TargetId): { readonly used: number } {
    const target = this.#targets.get(id);
    this.#targets.delete(id);
    return target ?? { used: 0 };
  }

  get isUnused(): boolean {
    return this.#targets.size === 0 && this.#running.size === 0;
  }

  /**
   * Where the request could run now: of the targets with room, the least loaded in proportion to its slots; of equals the first.
   * A fallback target gets it only while no primary one serves it, with room or without. A target that waits for its trial comes before
   * the others, as without a request it would never come back, but not for a request that has failed before.
   */
  findRoom({ chargedTokens, entry }: QueuedRequest): Target | undefined {
    const { retry } = entry;
    let best: Target | undefined;
    let trial: Target | undefined;
    let role: Target['role'] = 'fallback';
    for (const target of this.#targets.values()) {
      if (!serves(target) || (retry !== undefined && !meets(target, retry))) continue;
      if (target.state === 'probing') {
        const isPreferred = trial === undefined || (trial.role === 'fallback' && target.role === 'primary');
        if (isPreferred && this.hasRoom(target, chargedTokens)) trial = target;
        continue;
      }
      if (role === 'fallback' && target.role === 'primary') {
        role = 'primary';
        best = undefined;
      }
      if (target.role !== role || !this.hasRoom(target, chargedTokens)) continue;
      if (!best || target.used / target.slots < best.used / best.slots) best = target;
    }
    // While a primary target serves, a fallback one has no trial either.
    if (trial?.role === 'fallback' && role === 'primary') trial = undefined;
    if (retry === undefined) return trial ?? best;
    return best ?? trial ?? this.#lastResort(retry, chargedTokens);
  }

  /** Where no target that serves is left for the request: an ejected one may work again. */
  #lastResort(needs: TargetNeeds, tokens: number): Target | undefined {
    let ejected: Target | undefined;
    for (const target of this.#targets.values()) {
      if (!meets(target, needs)) continue;
      if (serves(target)) return undefined;
      if (target.state === 'ejected' && this.hasRoom(target, tokens)) ejected ??= target;
    }
    return ejected;
  }

  hasRoom({ state, used, slots, tokensInFlight, trial }: Target, tokens: number): boolean {
    const isOpen = state === 'ready' || state === 'ejected' || (state === 'probing' && trial === undefined);
    if (!isOpen || used >= slots) return false;
    // A request that alone exceeds the budget runs alone.
    return used === 0 || tokensInFlight + tokens <= this.#maxTokensInFlight;
  }

  /** What the targets that serve now, or are ejected, offer such a request; undefined where none may get it. */
  alternative(needs: TargetNeeds): Alternative | undefined {
    let found = false;
    let healthy = false;
    let inService = false;
    for (const target of this.#targets.values()) {
      if (!(serves(target) || target.state === 'ejected') || !meets(target, needs)) continue;
      found = true;
      inService ||= serves(target);
      healthy ||= target.state === 'ready' && !target.degraded;
    }
    return found ? { healthy, inService } : undefined;
  }

  /** A target that may get such a request serves now, or will when it has loaded. */
  isWorthWaiting(needs: TargetNeeds): boolean {
    for (const target of this.#targets.values())
      if ((serves(target) || IS_COMING.has(target.state)) && meets(target, needs)) return true;
    return false;
  }

  take(running: Running): void {
    const { target, granted, idle } = running;
    idle?.take(granted.prefix);
    if (target.state === 'probing') target.trial = granted.entry.id;
    target.used += 1;
    target.tokensInFlight += granted.chargedTokens;
    this.work.add(granted);
    this.#running.set(granted.entry.id, running);
  }

  /** Undefined where the entry holds no slot, or none any more. */
  release(id: EntryId, outcome: Outcome): Running | undefined {
    const running = this.#running.get(id);
    if (!running) return undefined;
    const { target, granted, idle } = running;
    this.#running.delete(id);
    if (target.trial === id) target.trial = undefined;
    target.used -= 1;
    target.tokensInFlight -= granted.chargedTokens;
    // After a failure the engine clears the slot.
    idle?.giveBack(outcome === 'failed' ? NO_PREFIX : granted.prefix);
    target.idle?.fit(target.slots - target.used);
    this.work.add(granted, -1);
    return running;
  }
}

/** A failed request may run there later, or at once. */
const IS_COMING: ReadonlySet<Target['state']> = new Set(['loading', 'ejected']);

function serves({ state }: Target): boolean {
  return state === 'ready' || state === 'probing';
}

function meets({ id, contextSize }: Target, { avoid, minContextSize = 0 }: TargetNeeds): boolean {
  return !avoid.has(id) && (contextSize === undefined || contextSize >= minContextSize);
}
