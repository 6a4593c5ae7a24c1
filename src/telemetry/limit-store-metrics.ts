/** The metrics of the limits that replicas share. */
import type { Milliseconds } from '../core/clock.ts';
import { Counter, Histogram, type MetricFamily } from './prometheus.ts';

/** Around limits.timeout_ms, which is 50 ms by default. */
const SECONDS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];

/** What is read when they are scraped; undefined: this server counts its limits alone. */
interface SharedStore {
  readonly isUp: boolean;
  readonly replicas: number;
}

export class LimitStoreMetrics {
  readonly families: readonly MetricFamily[];
  readonly #seconds = new Histogram({
    name: 'llm_serve_limit_store_seconds',
    help: 'Time that the shared limit store took for a decision. Only with limits.store.',
    buckets: SECONDS,
  });
  readonly #failures = new Counter({
    name: 'llm_serve_limit_store_failures_total',
    help: 'Failures of the shared limit store (decisions, announcements, connections), by reason: slow (no answer within limits.timeout_ms), unreachable, refused (password or permission), read_only, full (out of memory), loading, other; unsettled: a request’s real use was not counted, its estimate stays. Only with limits.store.',
    labels: ['reason'],
  });

  constructor(store: () => SharedStore | undefined) {
    const gauge = (name: string, help: string, read: (shared: SharedStore) => number): MetricFamily => ({
      name,
      help,
      type: 'gauge',
      samples: () => {
        const shared = store();
        return shared === undefined ? [] : [{ labels: {}, value: read(shared) }];
      },
    });
    this.families = [
      gauge(
        'llm_serve_limit_store_up',
        '1 while the shared limit store decides, 0 while limits.on_failure does. Only with limits.store.',
        ({ isUp }) => (isUp ? 1 : 0),
      ),
      gauge(
        'llm_serve_limit_store_replicas',
        'Servers that share the limit store, as last seen. Only with limits.store.',
        ({ replicas }) => replicas,
      ),
      this.#seconds,
      this.#failures,
    ];
  }

  readonly decided = (tookMs: Milliseconds): void => {
    this.#seconds.observe(tookMs / 1000, '');
  };

  readonly failed = (reason: string): void => {
    this.#failures.add(1, reason);
  };
}
