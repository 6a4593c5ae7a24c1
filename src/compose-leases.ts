/** Opens what divides the slots of shared targets among replicas, if there is more than one; a part of compose.ts. */
import type { Config } from './config/config.ts';
import type { LeasedSlots } from './core/leased-slots.ts';
import type { Log } from './core/log.ts';
import { type HeldSlots, LeaseKeeper } from './leases/lease-keeper.ts';
import type { LeaseView } from './serving/lease-state.ts';
import type { SharedSlots, SlotDivider } from './serving/shared-slots.ts';
import { systemClock } from './system-clock.ts';
import type { MetricFamily } from './telemetry/prometheus.ts';
import { SlotLeaseMetrics } from './telemetry/slot-lease-metrics.ts';

interface Leases {
  /** Undefined: this server has all slots alone. To be called once, by whoever owns the scheduler. */
  readonly divideSlots: ((shared: SharedSlots) => SlotDivider) | undefined;
  readonly view: LeaseView;
  readonly families: readonly MetricFamily[];
  close(): Promise<void>;
}

/** Rejects with a StoreError where the store does not let us in. */
export async function openLeases({
  config: { leases },
  log,
  instanceId,
}: {
  readonly config: Config;
  readonly log: Log;
  readonly instanceId: string;
}): Promise<Leases> {
  let keeper: LeaseKeeper | undefined;
  const metrics = new SlotLeaseMetrics(() => keeper);
  if (leases.store === 'memory:')
    return {
      divideSlots: undefined,
      view: { state: () => undefined, of: () => undefined },
      families: metrics.families,
      close: async () => {},
    };
  const { openLeaseStore } = await import('./stores/valkey/open-leases.ts');
  const opened = await openLeaseStore(leases.store);
  return {
    divideSlots: (given) => {
      keeper = new LeaseKeeper({
        ...opened,
        replica: instanceId,
        clock: systemClock,
        log,
        settings: {
          leaseMs: leases.lease_seconds * 1000,
          timeoutMs: leases.timeout_ms,
          onFailure: leases.on_failure,
        },
        given,
        observer: metrics,
      });
      return keeper;
    },
    view: {
      state: () =>
        keeper && {
          store: keeper.isAway ? 'away' : 'up',
          targets: keeper.held().map((held) => ({ shared: held.target, ...shown(held) })),
        },
      of: (shared) => {
        const held = keeper?.heldOf(shared);
        return held && shown(held);
      },
    },
    families: metrics.families,
    close: async () => {
      if (keeper === undefined) await opened.store.close();
      else await keeper.close();
    },
  };
}

function shown({ slots, basis, granted, evenShare }: HeldSlots): LeasedSlots {
  return {
    slots,
    basis,
    replicas: granted?.replicas ?? 0,
    target_slots: granted?.slots ?? 0,
    even_share: evenShare ?? null,
  };
}
