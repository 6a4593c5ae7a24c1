/** Limits that servers share (`limits.store`), as GET /ready, GET /live and `llm-serve status` show them. */
export interface SharedLimits {
  /** `away`: it can't be asked, and limits are decided as `on_failure` says. */
  readonly store: 'up' | 'away';
  readonly on_failure: 'local' | 'open' | 'closed';
  /** Servers that share them, as last seen, this one included. */
  readonly replicas: number;
}

const MEANWHILE: Readonly<Record<SharedLimits['on_failure'], (replicas: number) => string>> = {
  local: (replicas) => `this server admits its share of each, one of ${replicas}`,
  open: () => 'everything is admitted',
  closed: () => 'nothing that is limited is admitted',
};

/** As `llm-serve status` words it. */
export function sharedLimitsInWords({ store, on_failure, replicas }: SharedLimits): string {
  if (store === 'away') return `their store is away, ${MEANWHILE[on_failure](replicas)}`;
  return `shared, ${replicas} ${replicas === 1 ? 'server' : 'servers'}`;
}
