/**
 * The targets of one model, and the requests that hold their slots. Invariant: a target's `used` and `tokensInFlight` are the sums
 * over the requests that run on it, and within its bounds, except for a request that runs alone. The record of what a target has
 * cached is dropped when it goes down.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { EntryId, Outcome, SchedulerTarget, TargetId } from './decision.ts';
import type { Flow } from './fair-share.ts';
import { IdlePrefixes } from './prefix-affinity.ts';
import { NO_PREFIX } from './prefix-fingerprint.ts';
import type { QueuedRequest } from './queued-request.ts';
import { WorkSum } from './work.ts';

export interface Target {
  readonly id: TargetId;
  state: SchedulerTarget['state'];
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

  hasTarget(state: SchedulerTarget['state']): boolean {
    for (const target of this.#targets.values()) if (target.state === state) return true;
    return false;
  }

  usedOf(target: TargetId): { readonly slots: number; readonly tokens: number } {
    const { used = 0, tokensInFlight = 0 } = this.#targets.get(target) ?? {};
    return { slots: used, tokens: tokensInFlight };
  }

  setTarget({ id, slots, state, cachesPrefixes = false }: SchedulerTarget): void {
    const known = this.#targets.get(id);
    const target = known ?? {
      id,
      slots,
      state,
      used: 0,
      tokensInFlight: 0,
      idle: undefined,
      trial: undefined,
    };
    if (!known) this.#targets.set(id, target);
    target.slots = slots;
    target.state = state;
    if (state !== 'probing') target.trial = undefined;
    const isAway = state === 'loading' || state === 'down';
    if (isAway || !cachesPrefixes || !target.idle)
      target.idle = cachesPrefixes ? new IdlePrefixes() : undefined;
    target.idle?.fit(slots - target.used);
  }

  /**
   * Where a request of that size could run now: of the targets with room, the least loaded in proportion to its slots; of equals the
   * first. A target that waits for its trial comes before all others: without a request it would never come back.
   */
  findRoom(tokens: number): Target | undefined {
    let best: Target | undefined;
    for (const target of this.#targets.values()) {
      if (!this.hasRoom(target, tokens)) continue;
      if (target.state === 'probing') return target;
      if (!best || target.used / target.slots < best.used / best.slots) best = target;
    }
    return best;
  }

  hasRoom({ state, used, slots, tokensInFlight, trial }: Target, tokens: number): boolean {
    const isOpen = state === 'ready' || (state === 'probing' && trial === undefined);
    if (!isOpen || used >= slots) return false;
    // A request that alone exceeds the budget runs alone.
    return used === 0 || tokensInFlight + tokens <= this.#maxTokensInFlight;
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
