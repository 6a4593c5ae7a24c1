/** Opens what limits are counted in, in this process or shared by all replicas; a part of compose.ts. */
import type { Config } from './config/config.ts';
import { sharedLimitSettings } from './configured.ts';
import type { Log } from './core/log.ts';
import type { SharedLimits } from './core/shared-limits.ts';
import type { LimitStore } from './limits/limit-store.ts';
import { MemoryLimitStore } from './limits/memory-limit-store.ts';
import type { SharedLimitSettings, SharedLimitStore } from './stores/valkey/shared-limit-store.ts';
import { systemClock } from './system-clock.ts';
import { LimitStoreMetrics } from './telemetry/limit-store-metrics.ts';
import type { MetricFamily } from './telemetry/prometheus.ts';

interface Limits {
  readonly store: LimitStore;
  /** The same, where this process alone counts. */
  readonly memory: MemoryLimitStore | undefined;
  /** Its fields are replaced by a reload. */
  readonly settings: SharedLimitSettings;
  /** Undefined: this process alone counts. */
  readonly shared: () => SharedLimits | undefined;
  readonly families: readonly MetricFamily[];
}

/** Rejects with a StoreError where a shared store does not let us in. */
export async function openLimits({
  config,
  log,
  instanceId,
  maxKeys,
}: {
  readonly config: Config;
  readonly log: Log;
  readonly instanceId: string;
  /** Counters of a kind that this process keeps. */
  readonly maxKeys: () => number;
}): Promise<Limits> {
  const settings = sharedLimitSettings(config);
  const local = new MemoryLimitStore({ clock: systemClock, maxKeys });
  let shared: SharedLimitStore | undefined;
  const metrics = new LimitStoreMetrics(() => shared);
  if (config.limits.store !== 'memory:') {
    const { openSharedLimits } = await import('./stores/valkey/open.ts');
    shared = await openSharedLimits({
      address: config.limits.store,
      clock: systemClock,
      log,
      random: Math.random,
      replica: instanceId,
      local,
      settings,
      observer: metrics,
    });
  }
  const memory = shared === undefined ? local : undefined;
  return {
    store: shared ?? local,
    memory,
    settings,
    shared: () =>
      shared && {
        store: shared.isUp ? 'up' : 'away',
        on_failure: settings.onFailure,
        replicas: shared.replicas,
      },
    families: metrics.families,
  };
}
