/** What is seen and done from outside, of all workers together: the control process's side of it, a part of compose-control.ts. */
import { randomBytes } from 'node:crypto';
import type { SharedLimits } from './core/shared-limits.ts';
import type { ReloadOutcome } from './http/routes/admin.ts';
import { administered } from './serving/administered.ts';
import type { LocalControl } from './serving/local-control.ts';
import type { Serving } from './serving/serving.ts';
import { systemClock } from './system-clock.ts';
import { GatheredMetrics } from './telemetry/gathered-metrics.ts';
import { SnapshotFeed } from './telemetry/live-feed.ts';
import type { Metrics, MetricsSettings } from './telemetry/metrics.ts';
import type { ReadFamily } from './telemetry/process-sum.ts';
import type { Recorder } from './telemetry/recorder.ts';
import { AskedWorkers } from './workers/asked-workers.ts';
import { GatheredRequests } from './workers/gathered-requests.ts';
import { LiveWatches } from './workers/live-watches.ts';
import { type Answers, answer } from './workers/questions.ts';
import type { AskedOfControl, ViewsToControl, ViewsToWorker } from './workers/view-messages.ts';

interface ViewsOptions {
  readonly version: string;
  readonly serving: Serving;
  readonly queue: Pick<LocalControl['slotQueue'], 'views' | 'viewOf'>;
  readonly settings: MetricsSettings;
  /** Of this process. */
  readonly metrics: Metrics;
  readonly reload: (trigger: string) => Promise<ReloadOutcome>;
  readonly recorder: Pick<Recorder, 'add'> | undefined;
  readonly sharedLimits: () => SharedLimits | undefined;
}

interface AttachedViews {
  receive(message: ViewsToControl): void;
  ended(): void;
}

export interface ControlViews {
  /** `name`: `2.1` is the first worker at the second place. */
  attach(name: string, send: (message: ViewsToWorker) => void): AttachedViews;
  close(): void;
}

/** Usage may have to be written; a report waits no longer for it. */
const USAGE_WITHIN_MS = 1500;

const SALT_BYTES = 16;

export function createControlViews(options: ViewsOptions): ControlViews {
  const { version, serving, queue, settings, metrics, reload, recorder, sharedLimits } = options;
  const workers = new AskedWorkers({ clock: systemClock });
  const requests = new GatheredRequests({
    workers,
    queue,
    totals: () => serving.totals(),
    salt: randomBytes(SALT_BYTES).toString('base64url'),
    onEnded: (ended) => live.othersEnded(ended),
  });
  let listens = false;
  const live: SnapshotFeed = new SnapshotFeed({
    clock: systemClock,
    version,
    settings,
    state: (viewer, done) => {
      void requests.live(viewer.owner).then(({ queue: waiting, running, costMs }) => {
        const { models, targets } = serving.live(viewer);
        const shared_limits = sharedLimits();
        done({ models, targets, ...(shared_limits && { shared_limits }), queue: waiting, running }, costMs);
      });
    },
    onListen: (isOn) => {
      listens = isOn;
      for (const { send } of workers.all) send({ type: 'live-listens', listens });
    },
  });
  const gathered = new GatheredMetrics({
    clock: systemClock,
    own: metrics,
    askOthers: async (set) => {
      const onAnswer = (families: unknown, { name }: { readonly name: string }) =>
        set(shownName(name), families as readonly ReadFamily[]);
      await workers.askAll('read-metrics', () => null, { onAnswer });
    },
  });
  const own = administered(serving);
  /** Whoever asks another worker next finds what has changed. */
  const allHaveCaughtUp = () => workers.askAll('catch-up', () => null);
  const answers: Omit<Answers<AskedOfControl>, 'watch'> = {
    metrics: () => gathered.text(),
    leases: () => serving.leases() ?? null,
    'shared-limits': () => sharedLimits() ?? null,
    live: async ({ owner }) => JSON.stringify(await live.snapshot(owner ?? undefined)),
    active: ({ limit }) => requests.active(limit),
    cancel: async ({ id }) => (await requests.cancel(id)) ?? null,
    targets: () => own.targets(),
    'set-drained': async ({ target, isDrained }) => {
      const state = (await own.setDrained(target, isDrained)) ?? null;
      await allHaveCaughtUp();
      return state;
    },
    reload: async ({ trigger }) => {
      const outcome = await reload(trigger);
      await allHaveCaughtUp();
      return outcome;
    },
    'flush-usage': async () => {
      await workers.askAll('flush-usage', () => null, { withinMs: USAGE_WITHIN_MS });
      return null;
    },
  };
  return {
    attach: (name, send) => {
      const watches = new LiveWatches({ live, send });
      const ofWorker: Answers<AskedOfControl> = { ...answers, watch: (details) => watches.watch(details) };
      // The first thing that it hears: it serves nothing before that.
      if (recorder !== undefined) send({ type: 'records' });
      let worker: ReturnType<AskedWorkers['add']> | undefined;
      return {
        receive: (message) => {
          switch (message.type) {
            case 'answers':
              worker = workers.add(`w${name}`, send);
              if (listens) send({ type: 'live-listens', listens });
              return;
            case 'ask':
              return void answer(message, ofWorker, send);
            case 'answer':
              return worker?.asker.receive(message);
            case 'recorded':
              return recorder?.add(message.request);
            case 'unwatch':
              return watches.unwatch(message.watch);
            default:
              throw message satisfies never;
          }
        },
        ended: () => {
          watches.end();
          if (worker === undefined) return;
          workers.remove(worker);
          gathered.ended(shownName(worker.name));
        },
      };
    },
    close: () => {
      gathered.close();
      live.close();
    },
  };
}

/** `w2.1` and its successors are the second worker to whoever reads metrics. */
function shownName(name: string): string {
  return `worker ${name.slice(1).split('.')[0]}`;
}
