/**
 * The targets of one model, and who holds a slot where. Invariant: a target's `used` and `tokensInFlight` are the sums
 * over what runs on it; neither grows beyond its bound, but for a request that runs alone.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { EntryId, SchedulerTarget, TargetId } from './decision.ts';
import type { Flow } from './fair-share.ts';
import { selectTarget } from './target-selection.ts';
import type { Waiting } from './waiting.ts';
import { WorkSum } from './work.ts';

interface Target {
  readonly id: TargetId;
  state: SchedulerTarget['state'];
  slots: number;
  used: number;
  tokensInFlight: number;
}

export interface Running {
  readonly target: Target;
  readonly granted: Waiting;
  /** Whose account is settled. */
  readonly flow: Flow<Waiting> | undefined;
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

  /** Of all targets that are ready. */
  get usable(): number {
    let slots = 0;
    for (const target of this.#targets.values()) if (target.state === 'ready') slots += target.slots;
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

  setTarget({ id, slots, state }: SchedulerTarget): void {
    const target = this.#targets.get(id);
    if (target) Object.assign(target, { slots, state });
    else this.#targets.set(id, { id, slots, state, used: 0, tokensInFlight: 0 });
  }

  /** Where a request of that size could run now. */
  findRoom(tokens: number): Target | undefined {
    return selectTarget(this.#targets.values(), { tokens, maxTokensInFlight: this.#maxTokensInFlight });
  }

  take(running: Running): void {
    const { target, granted } = running;
    target.used += 1;
    target.tokensInFlight += granted.chargedTokens;
    this.work.add(granted);
    this.#running.set(granted.entry.id, running);
  }

  /** Undefined where the entry holds no slot, or none any more. */
  release(id: EntryId): Running | undefined {
    const running = this.#running.get(id);
    if (!running) return undefined;
    const { target, granted } = running;
    this.#running.delete(id);
    target.used -= 1;
    target.tokensInFlight -= granted.chargedTokens;
    this.work.add(granted, -1);
    return running;
  }
}
