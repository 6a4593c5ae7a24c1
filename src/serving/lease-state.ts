/** What GET /ready shows of leased slots: whether the lease store can be asked, and by what right slots of shared targets are given. */
import type { LeasedSlots } from '../core/leased-slots.ts';

export interface LeaseState {
  readonly store: 'up' | 'away';
  readonly targets: readonly (LeasedSlots & { readonly shared: string })[];
}

/**
 * Shared targets at which this server can begin nothing until the store answers: it has never been granted anything, or the store is away
 * and it does not know how many share the slots, or its even share is none.
 */
export function withoutShare(state: LeaseState | undefined): ReadonlySet<string> {
  if (state === undefined) return new Set();
  const isWithout = ({ basis, replicas, even_share }: LeasedSlots) =>
    replicas === 0 ? basis === 'none' : state.store === 'away' && basis !== 'lease' && !even_share;
  return new Set(state.targets.filter(isWithout).map(({ shared }) => shared));
}

export interface LeaseView {
  /** Undefined: slots are not leased. */
  state(): LeaseState | undefined;
  /** By the name that all servers know it by; undefined: it is not leased. */
  of(shared: string): LeasedSlots | undefined;
}
