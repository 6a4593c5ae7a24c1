/** Metrics of the store of keys, usage and the audit log. */
import type { MetricFamily } from './prometheus.ts';

/** How it fares, as whoever calls it knows. */
export interface ObservedStore {
  isUp(operation: 'read' | 'write'): boolean;
  /** By fault. */
  readonly failures: ReadonlyMap<string, number>;
}

export function storeFamilies(store: ObservedStore): readonly MetricFamily[] {
  return [
    {
      name: 'llm_serve_store_up',
      help: 'access.store: 1 where the last call of that kind (read, write) succeeded. While it is 0, the last known keys stay in force and usage waits.',
      type: 'gauge',
      across: 'min',
      samples: () =>
        (['read', 'write'] as const).map((operation) => ({
          labels: { operation },
          value: store.isUp(operation) ? 1 : 0,
        })),
    },
    {
      name: 'llm_serve_store_failures_total',
      help: 'Calls of access.store that failed, by fault: unavailable, refused, full, corrupt, too_new, or internal.',
      type: 'counter',
      samples: () => [...store.failures].map(([fault, value]) => ({ labels: { fault }, value })),
    },
  ];
}
