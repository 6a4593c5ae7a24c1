/** The metrics of keys. */
import { Counter, type MetricFamily } from './prometheus.ts';

export class KeyMetrics {
  readonly families: readonly MetricFamily[];
  readonly #wrong = new Counter({
    name: 'llm_serve_wrong_keys_total',
    help: 'Requests that were refused for their key, by kind: invalid (no such key), ended (revoked, expired, or replaced by a newer one), blocked (invalid, from an address that has sent too many).',
    labels: ['kind'],
  });

  /** `active`: how many keys there are, read when it is scraped. */
  constructor(active: () => number) {
    this.families = [
      {
        name: 'llm_serve_keys',
        help: 'API keys of the configuration and of access.store, without those that are revoked.',
        type: 'gauge',
        across: 'max',
        samples: () => [{ labels: {}, value: active() }],
      },
      this.#wrong,
    ];
  }

  readonly wrongKey = (kind: string): void => {
    this.#wrong.add(1, kind);
  };
}
