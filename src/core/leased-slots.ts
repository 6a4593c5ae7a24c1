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
