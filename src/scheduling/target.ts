/** A target as the scheduler keeps it: what it may get, and what runs there. */
import type { Milliseconds } from '../core/clock.ts';
import type { AdaptiveSlots } from './adaptive-slots.ts';
import type { Alternative, EntryId, SchedulerTarget, SlotLease, TargetId, TargetNeeds } from './decision.ts';
import type { IdlePrefixes } from './prefix-affinity.ts';
import type { HashedTarget } from './rendezvous.ts';
import type { RoutableTarget } from './routing.ts';
import type { ServerLoad } from './server-load.ts';
import type { SlotNumbers } from './slot-numbers.ts';

export interface Target extends RoutableTarget, HashedTarget {
  readonly id: TargetId;
  state: SchedulerTarget['state'];
  role: 'primary' | 'fallback';
  /** Tokens per slot, where it is known. */
  contextSize: number | undefined;
  degraded: boolean;
  weight: number;
  share: number;
  /** That may be given now: all of its own, or, of a shared target, those that are leased. */
  slots: number;
  ownSlots: number;
  /** Of a shared target; undefined: it is not shared. */
  lease: SlotLease | undefined;
  /** Decides about `ownSlots`; undefined where they are fixed. */
  adaptive: AdaptiveSlots | undefined;
  used: number;
  readonly slotNumbers: SlotNumbers;
  tokensInFlight: number;
  turns: number;
  server: ServerLoad;
  /** Requests at its server, when a target was last chosen. */
  requests: number;
  /** Of a target that caches prefixes; a new one each time it comes back. */
  idle: IdlePrefixes | undefined;
  /** The one request that it got while probing. */
  trial: EntryId | undefined;
}

/** What decides whether a target may get a request at all. */
export type OfferedTarget = Pick<Target, 'id' | 'state' | 'contextSize' | 'degraded' | 'trial'>;

/** Requests can be sent to it now, or when it has a free slot. */
export function serves({ state }: Pick<Target, 'state'>): boolean {
  return state === 'ready' || state === 'probing';
}

export function meets(
  { id, contextSize }: Pick<Target, 'id' | 'contextSize'>,
  { avoid, minContextSize = 0 }: TargetNeeds,
): boolean {
  return !avoid.has(id) && (contextSize === undefined || contextSize >= minContextSize);
}

/** It serves, and is not busy with its trial, unless the request may wait for the end of that. */
export function isOpenTo(target: OfferedTarget, { awaitsTrial = false }: TargetNeeds): boolean {
  return serves(target) && (awaitsTrial || target.trial === undefined);
}

/** What those that serve now, or are ejected, offer such a request; undefined where none may get it. */
export function alternativeAmong(
  targets: Iterable<OfferedTarget>,
  needs: TargetNeeds,
): Alternative | undefined {
  let found = false;
  let healthy = false;
  let inService = false;
  for (const target of targets) {
    const isOpen = isOpenTo(target, needs);
    if (!(isOpen || target.state === 'ejected') || !meets(target, needs)) continue;
    found = true;
    inService ||= isOpen;
    healthy ||= target.state === 'ready' && !target.degraded;
  }
  return found ? { healthy, inService } : undefined;
}

/** `maxTokens`: of all that runs there. */
export function hasRoom(target: Target, tokens: number, maxTokens: number): boolean {
  const { state, used, slots, tokensInFlight, trial } = target;
  const isOpen = state === 'ready' || state === 'ejected' || (state === 'probing' && trial === undefined);
  if (!isOpen || used >= slots) return false;
  // A request that alone exceeds the budget runs alone.
  return used === 0 || tokensInFlight + tokens <= maxTokens;
}

/** What may be given at that time. */
export function slotsAt({ ownSlots, lease }: Target, now: Milliseconds): number {
  if (lease === undefined) return ownSlots;
  return now < lease.until ? Math.min(ownSlots, lease.slots) : 0;
}
