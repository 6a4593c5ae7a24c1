/** The slots of a shared target that this server has by a lease, as it shows them. */
export interface LeasedSlots {
  /** It may give so many now. */
  readonly slots: number;
  /** `even_share`: without a lease, as the store cannot be asked; `none`: none may be given. */
  readonly basis: 'lease' | 'even_share' | 'none';
  /** Servers that share it, as last seen; 0: not known yet. */
  readonly replicas: number;
  /** As many as it has for all of them; 0: not known yet. */
  readonly target_slots: number;
  /** It would use so many if the store could not be asked; null: it would use none, as it does not know yet how many there are. */
  readonly even_share: number | null;
}

/** By what right it gives slots of a target that other servers use too: as the page and `llm-serve status` word it. */
export function leaseInWords({ basis, slots, target_slots: all, replicas }: LeasedSlots): string {
  if (basis === 'none') return 'none now';
  const right = basis === 'lease' ? '' : ', the even share';
  return `${slots} of ${all}${right}, ${replicas} ${replicas === 1 ? 'server' : 'servers'}`;
}
