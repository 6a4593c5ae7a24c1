/**
 * The targets whose slots other servers use too: what this one needs of each, and how many it may give. Between the scheduler and what
 * divides the slots among the servers (leases/lease-keeper.ts).
 */
import type { ModelId } from '../core/generation.ts';
import type { SchedulerTarget, SlotLease } from '../scheduling/decision.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import { askedAmong, canServe, isShared, slotCountOf, type Target } from './targets.ts';

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

/** One that a reload has taken out: it gets nothing new, but requests still run there. */
interface LeftTarget {
  readonly target: Target;
  readonly used: number;
}

interface SharedSlotsOptions {
  readonly scheduler: Pick<Scheduler, 'usedOf' | 'waiting'>;
  readonly dispatcher: { setLease(target: Pick<SchedulerTarget, 'id' | 'model'>, lease: SlotLease): void };
  /** Those that the scheduler has. */
  readonly targets: () => Iterable<Target>;
  readonly left: () => Iterable<LeftTarget>;
}

export class SharedSlots {
  readonly #options: SharedSlotsOptions;
  /** By shared name: as many as the target had when it was last known. */
  readonly #known = new Map<string, number>();

  constructor(options: SharedSlotsOptions) {
    this.#options = options;
  }

  /** One for each shared name, whichever targets have it: a reload may have replaced one by another of the same server and model. */
  demands(): readonly SharedDemand[] {
    const { scheduler, targets } = this.#options;
    const all = [...targets()];
    const shared: { readonly name: string; readonly target: Target; readonly slots: number }[] = [];
    for (const target of all) {
      const slots = this.#slotsOf(target);
      if (target.sharedAs !== undefined && slots !== undefined)
        shared.push({ name: target.sharedAs, target, slots });
    }
    const asked = new Set(askedAmong(all));
    const askedSlots = new Map<ModelId, number>();
    for (const { target, slots } of shared)
      if (asked.has(target)) askedSlots.set(target.model, (askedSlots.get(target.model) ?? 0) + slots);
    const demands = new Map<string, SharedDemand>();
    for (const { name, target, slots } of shared) {
      // What waits runs at one of them only: each asks for its part, or they all would keep slots for the same requests.
      const part = asked.has(target) ? slots / Math.max(1, askedSlots.get(target.model) ?? 0) : 0;
      const waiting = Math.ceil(scheduler.waiting(target.model).requests * part);
      demands.set(name, { target: name, slots, used: scheduler.usedOf(target).slots, waiting });
    }
    for (const { target, used } of this.#options.left()) {
      if (target.sharedAs === undefined || used === 0) continue;
      const name = target.sharedAs;
      const demand = demands.get(name);
      const slots = demand?.slots ?? this.#known.get(name) ?? slotCountOf(target);
      demands.set(name, { waiting: 0, ...demand, target: name, slots, used: used + (demand?.used ?? 0) });
    }
    return [...demands.values()];
  }

  /** What still runs at one that a reload has taken out is of the same lease. */
  allow(leaseOf: (name: string) => SlotLease): void {
    const { dispatcher, targets } = this.#options;
    const usedByLeft = this.#usedByLeft();
    for (const target of targets()) {
      if (target.sharedAs === undefined || !isShared(target)) continue;
      const { slots, until } = leaseOf(target.sharedAs);
      const ofOthers = usedByLeft.get(target.sharedAs) ?? 0;
      dispatcher.setLease(target, { slots: Math.max(0, slots - ofOthers), until });
    }
  }

  /** Shared targets, by the name that the scheduler knows them by; `used`: also by those that a reload has taken out. */
  used(): ReadonlyMap<string, { readonly name: string; readonly used: number }> {
    const { scheduler, targets } = this.#options;
    const usedByLeft = this.#usedByLeft();
    const used = new Map<string, { readonly name: string; readonly used: number }>();
    for (const target of targets()) {
      const { sharedAs: name, id } = target;
      if (name === undefined || !isShared(target)) continue;
      used.set(id, { name, used: scheduler.usedOf(target).slots + (usedByLeft.get(name) ?? 0) });
    }
    return used;
  }

  #usedByLeft(): ReadonlyMap<string, number> {
    const used = new Map<string, number>();
    for (const left of this.#options.left()) {
      const { sharedAs } = left.target;
      if (sharedAs !== undefined) used.set(sharedAs, (used.get(sharedAs) ?? 0) + left.used);
    }
    return used;
  }

  /**
   * Undefined: there is nothing to divide, or it is not known how much; a number that was only assumed would count for all servers, as the
   * lowest. While the target's server cannot be asked, it has as many as before.
   */
  #slotsOf(target: Target): number | undefined {
    const { sharedAs, status, slotsAdaptive = false, slotsConfigured = false } = target;
    if (sharedAs === undefined) return undefined;
    const isFixed = slotsConfigured && !slotsAdaptive;
    const reported = isFixed ? target.slots : status.slots;
    const assumed = canServe(status) && !slotsAdaptive ? slotCountOf(target) : undefined;
    const slots = reported ?? this.#known.get(sharedAs) ?? assumed;
    if (slots !== undefined) this.#known.set(sharedAs, slots);
    return slots;
  }
}
