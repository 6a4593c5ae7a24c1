/**
 * The targets whose slots other servers use too: what this one needs of each, and how many it may give. Between the scheduler and what
 * divides the slots among the servers (leases/lease-keeper.ts).
 */
import type { ModelId } from '../core/generation.ts';
import type { SchedulerTarget, SlotLease } from '../scheduling/decision.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import { getsRequests, isShared, slotCountOf, type Target } from './targets.ts';

/** Whoever divides the slots; asked in the turn of each decision. */
export interface SlotDivider {
  /** Something is about to be granted. */
  beforeGrants(): void;
  /** One slot of it was just given: `used` with it. */
  granted(name: string, used: number): void;
  /** What is needed may have changed. */
  changed(): void;
}

interface SharedDemand {
  readonly target: string;
  readonly slots: number;
  readonly used: number;
  readonly waiting: number;
}

interface SharedSlotsOptions {
  readonly scheduler: Pick<Scheduler, 'usedOf' | 'waiting'>;
  readonly dispatcher: { setLease(target: Pick<SchedulerTarget, 'id' | 'model'>, lease: SlotLease): void };
  /** Also those that a reload has taken out, as long as requests run there. */
  readonly targets: () => Iterable<Target>;
  readonly used: (target: Target) => number;
}

export class SharedSlots {
  readonly #options: SharedSlotsOptions;

  constructor(options: SharedSlotsOptions) {
    this.#options = options;
  }

  demands(): readonly SharedDemand[] {
    const { scheduler, targets, used } = this.#options;
    const primaries = new Set<ModelId>();
    const shared: Target[] = [];
    for (const target of targets()) {
      if (target.role === 'primary' && getsRequests(target)) primaries.add(target.model);
      if (isShared(target)) shared.push(target);
    }
    const isAsked = (target: Target) =>
      getsRequests(target) && (target.role === 'primary' || !primaries.has(target.model));
    const asked = new Map<ModelId, number>();
    for (const target of shared) {
      if (!isAsked(target)) continue;
      asked.set(target.model, (asked.get(target.model) ?? 0) + slotCountOf(target));
    }
    return shared.map((target) => {
      const slots = slotCountOf(target);
      // What waits runs at one of them only: each asks for its part, or they all would keep slots for the same requests.
      const part = isAsked(target) ? slots / Math.max(1, asked.get(target.model) ?? 0) : 0;
      const waiting = Math.ceil(scheduler.waiting(target.model).requests * part);
      return { target: target.sharedAs ?? '', slots, used: used(target), waiting };
    });
  }

  allow(name: string, lease: SlotLease): void {
    const { dispatcher, targets } = this.#options;
    for (const target of targets()) if (target.sharedAs === name) dispatcher.setLease(target, lease);
  }

  /** By the name that the scheduler knows it by; undefined: it is not shared. */
  nameOf(id: string): string | undefined {
    for (const target of this.#options.targets())
      if (target.id === id) return isShared(target) ? target.sharedAs : undefined;
    return undefined;
  }

  usedOf(id: string): number {
    for (const target of this.#options.targets()) if (target.id === id) return this.#options.used(target);
    return 0;
  }
}
