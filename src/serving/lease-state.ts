/** What GET /ready shows of leased slots: whether the lease store can be asked, and by what right slots of shared targets are given. */
export interface LeaseState {
  readonly store: 'up' | 'away';
  readonly targets: readonly {
    readonly shared: string;
    /** This server may give so many now. */
    readonly slots: number;
    /** `even_share`: without a lease, as the store cannot be asked; `none`: none may be given. */
    readonly basis: 'lease' | 'even_share' | 'none';
    /** Servers that share it, as last seen; 0: not known yet. */
    readonly replicas: number;
    /** It would use so many if the store could not be asked; null: it would use none, as it does not know yet how many there are. */
    readonly even_share: number | null;
  }[];
}
