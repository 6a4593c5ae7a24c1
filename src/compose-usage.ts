/** Creates what counts, writes and reports usage; a part of compose.ts. */
import type { KeyStore } from './access/key-store.ts';
import type { Config } from './config/config.ts';
import { usageSettings } from './configured.ts';
import type { Log } from './core/log.ts';
import type { RequestRecord } from './core/request-trace.ts';
import { newId } from './http/open-requests.ts';
import { PROTOCOLS } from './protocols/catalog.ts';
import { systemClock } from './system-clock.ts';
import type { MetricFamily } from './telemetry/prometheus.ts';
import { usageFamilies } from './telemetry/usage-metrics.ts';
import type { UsageReader } from './usage/usage-report.ts';
import type { UsageStore } from './usage/usage-store.ts';
import { type UsageSettings, UsageWriter } from './usage/usage-writer.ts';

interface Usage {
  /** Its fields are replaced by a reload. */
  readonly settings: UsageSettings;
  readonly reader: UsageReader;
  readonly families: readonly MetricFamily[];
  requestEnded(record: RequestRecord): void;
  /** What waits is given to the store now. Resolves when that is done, or can't be in time. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A report waits so long for what has just ended to be written. */
const REPORT_WAITS_MS = 1000;

/** Those of generations and embeddings. */
const MODEL_PATHS: ReadonlySet<string> = new Set(
  PROTOCOLS.flatMap(({ routes }) => routes)
    .filter(({ kind }) => kind !== 'query')
    .map(({ path }) => path),
);

export function createUsage({
  config,
  store,
  log,
  flushAll,
}: {
  readonly config: Config;
  readonly store: { readonly usage: UsageStore; readonly keys: Pick<KeyStore, 'named' | 'namesOf'> };
  readonly log: Log;
  /** Of all processes; absent: this one serves alone. */
  readonly flushAll?: (() => Promise<void>) | undefined;
}): Usage {
  const settings = usageSettings(config);
  const writer = new UsageWriter({
    clock: systemClock,
    log,
    store: store.usage,
    settings,
    newBatchId: () => newId('batch'),
  });
  const flush = () => writer.flush(REPORT_WAITS_MS);
  return {
    settings,
    flush,
    families: usageFamilies(writer),
    reader: {
      currency: () => settings.currency,
      keysNamed: (idOrName) => store.keys.named(idOrName),
      namesOf: (ids) => store.keys.namesOf(ids),
      report: async (query) => {
        await (flushAll ?? flush)();
        return store.usage.report(query);
      },
    },
    requestEnded: ({ route, trace }) => {
      if (MODEL_PATHS.has(route)) writer.ended(trace);
    },
    close: async () => {
      // A clock's timers do not keep the process alive; the last rows have to.
      const alive = setInterval(() => {}, 1000);
      await writer.close();
      clearInterval(alive);
    },
  };
}
