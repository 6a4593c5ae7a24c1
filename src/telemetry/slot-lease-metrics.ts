/** The metrics of slots that are leased, because several servers use the same targets. */
import type { Milliseconds } from '../core/clock.ts';
import { Counter, Histogram, type MetricFamily } from './prometheus.ts';

/** Around leases.timeout_ms, which is 500 ms by default. */
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

interface LeasedTarget {
  readonly target: string;
  readonly slots: number;
  readonly granted:
    | {
        readonly share: number;
        readonly replicas: number;
        readonly slots: number;
        readonly usedByAll: number;
      }
    | undefined;
}

/** What is read when they are scraped; undefined: slots are not leased. */
interface Leases {
  readonly isAway: boolean;
  held(): readonly LeasedTarget[];
}

export class SlotLeaseMetrics {
  readonly families: readonly MetricFamily[];
  readonly #seconds = new Histogram({
    name: 'llm_serve_slot_lease_seconds',
    help: 'Time that the lease store took for a renewal. Only with leases.store.',
    buckets: SECONDS,
  });
  readonly #failures = new Counter({
    name: 'llm_serve_slot_lease_failures_total',
    help: 'Renewals that the lease store did not answer, by reason: slow (not within leases.timeout_ms), unreachable, refused (password or permission), read_only, full (out of memory), loading, other. Only with leases.store.',
    labels: ['reason'],
  });
  readonly #grants = new Counter({
    name: 'llm_serve_slot_lease_grants_total',
    help: 'Slots of shared targets that were given, by the right to give them: lease; even_share, while the lease store could not be asked; none. Only with leases.store.',
    labels: ['basis'],
  });
  readonly #overAdmissions = new Counter({
    name: 'llm_serve_slot_lease_over_admissions_total',
    help: 'Slots of shared targets that were given beyond what was leased at that moment. There must be none. Only with leases.store.',
    labels: ['basis'],
  });

  constructor(leases: () => Leases | undefined) {
    const family = (
      name: string,
      help: string,
      read: (granted: NonNullable<LeasedTarget['granted']>, target: LeasedTarget) => number,
    ): MetricFamily => ({
      name,
      help,
      type: 'gauge',
      samples: () =>
        (leases()?.held() ?? []).flatMap((held) =>
          held.granted === undefined
            ? []
            : [{ labels: { shared: held.target }, value: read(held.granted, held) }],
        ),
    });
    this.families = [
      {
        name: 'llm_serve_slot_lease_store_up',
        help: '1 while the lease store answers, 0 while leases.on_failure holds. Only with leases.store.',
        type: 'gauge',
        samples: () => {
          const { isAway } = leases() ?? {};
          return isAway === undefined ? [] : [{ labels: {}, value: isAway ? 0 : 1 }];
        },
      },
      family(
        'llm_serve_slot_lease_slots',
        'Slots of a shared target that this server may give now. Only with leases.store.',
        (_, { slots }) => slots,
      ),
      family(
        'llm_serve_slot_lease_share',
        'Slots of a shared target that are fair for this server, by what all need. Only with leases.store.',
        ({ share }) => share,
      ),
      family(
        'llm_serve_slot_lease_replicas',
        'Servers that share a target, this one included. Only with leases.store.',
        ({ replicas }) => replicas,
      ),
      family(
        'llm_serve_slot_lease_target_slots',
        'Slots that a shared target has for all servers together. Only with leases.store.',
        ({ slots }) => slots,
      ),
      family(
        'llm_serve_slot_lease_target_used',
        'Slots of a shared target that all servers together use, as they last said. More than it has: a server was stopped, or cut off from the lease store, for longer than its lease. Only with leases.store.',
        ({ usedByAll }) => usedByAll,
      ),
      this.#seconds,
      this.#failures,
      this.#grants,
      this.#overAdmissions,
    ];
  }

  /** The first renewal comes before any grant: so an alert sees the first one that must not be as a rise from 0. */
  readonly renewed = (tookMs: Milliseconds): void => {
    this.#begin();
    this.#seconds.observe(tookMs / 1000, '');
  };

  readonly failed = (reason: string): void => {
    this.#begin();
    this.#failures.add(1, reason);
  };

  readonly granted = (basis: string, isAllowed: boolean): void => {
    this.#grants.add(1, basis);
    this.#overAdmissions.add(isAllowed ? 0 : 1, basis);
  };

  #begin(): void {
    for (const basis of ['lease', 'even_share', 'none']) this.#overAdmissions.add(0, basis);
  }
}
