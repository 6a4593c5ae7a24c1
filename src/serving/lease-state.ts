/** What GET /ready shows of leased slots: whether the lease store can be asked, and by what right slots of shared targets are given. */
import type { LeasedSlots } from '../core/leased-slots.ts';

export interface LeaseState {
  readonly store: 'up' | 'away';
  readonly targets: readonly (LeasedSlots & { readonly shared: string })[];
}

export interface LeaseView {
  /** Undefined: slots are not leased. */
  state(): LeaseState | undefined;
  /** By the name that all servers know it by; undefined: it is not leased. */
  of(shared: string): LeasedSlots | undefined;
}
