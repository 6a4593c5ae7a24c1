/** What is seen and done from outside, of all workers together: a worker's side of it, a part of compose-worker.ts. */
import { type OwnViews, RELOAD_TRIGGER, type ViewsOfAll } from './compose.ts';
import { systemClock } from './system-clock.ts';
import { ClientNames } from './telemetry/client-names.ts';
import { type Answers, Asker } from './workers/questions.ts';
import { remoteAdministered } from './workers/remote-administered.ts';
import { RemoteLiveFeed } from './workers/remote-live-feed.ts';
import type { AskedOfControl, AskedOfWorkers, ViewsToControl } from './workers/view-messages.ts';

/** A configuration may name files on a slow disk. */
const RELOAD_WITHIN_MS = 30_000;

/** Whoever asks whether this worker is ready waits no longer. */
const READINESS_WITHIN_MS = 500;

/** Those of many connections; the answer to each may be large. */
const MOST_OPEN_QUESTIONS = 256;

interface WorkerViewsOptions {
  readonly send: (message: ViewsToControl) => void;
  /** While it is stalled, it is asked nothing. */
  readonly pulse: { readonly isStalled: boolean };
  /** The control process leases slots. */
  readonly leasesSlots: boolean;
  /** What it counts in is shared with other servers. */
  readonly sharesLimits: boolean;
}

/** Of all, for whoever asks this worker. */
export function workerViews({ send, pulse, leasesSlots, sharesLimits }: WorkerViewsOptions): {
  readonly ofAll: ViewsOfAll;
  readonly asker: Asker<AskedOfControl>;
  readonly live: RemoteLiveFeed;
} {
  const asker: Asker<AskedOfControl> = new Asker<AskedOfControl>({
    clock: systemClock,
    send,
    mayAsk: () => !pulse.isStalled && asker.open < MOST_OPEN_QUESTIONS,
  });
  const live = new RemoteLiveFeed({ asker, send });
  return {
    asker,
    live,
    ofAll: {
      live,
      administered: remoteAdministered(asker),
      metrics: () => asker.ask('metrics', null),
      leases: async () => {
        if (!leasesSlots) return undefined;
        const leases = await asker.ask('leases', null, { withinMs: READINESS_WITHIN_MS }).catch(() => null);
        return leases ?? undefined;
      },
      sharedLimits: async () => {
        if (!sharesLimits) return undefined;
        const limits = await asker
          .ask('shared-limits', null, { withinMs: READINESS_WITHIN_MS })
          .catch(() => null);
        return limits ?? undefined;
      },
      reload: () => asker.ask('reload', { trigger: RELOAD_TRIGGER }, { withinMs: RELOAD_WITHIN_MS }),
      flushUsage: async () => {
        // Without it, a report has what the store has.
        await asker.ask('flush-usage', null).catch(() => {});
      },
    },
  };
}

/** Of this worker, for the control process. */
export function answersOf({ metrics, serving, ended, flushUsage }: OwnViews): Answers<AskedOfWorkers> {
  let names: { readonly salt: string; readonly of: ClientNames } | undefined;
  return {
    'read-metrics': metrics,
    'live-part': ({ owner, salt, entries }) => {
      const askedAt = systemClock.now();
      if (names?.salt !== salt) names = { salt, of: new ClientNames(salt) };
      const clientName = names.of.nameOf;
      const { queue, running } = serving.live({
        owner: owner ?? undefined,
        entries: entries === null ? undefined : new Set(entries),
        clientName,
      });
      const newlyEnded = ended.take({ offsetMs: systemClock.wallNow() - askedAt, clientName }) ?? null;
      return { queue, running, ended: newlyEnded, costMs: systemClock.now() - askedAt };
    },
    'active-part': ({ limit, entries }) => serving.active({ limit, entries: new Set(entries) }),
    cancel: ({ id }) => serving.cancel(id) ?? null,
    'flush-usage': async () => {
      await flushUsage();
      return null;
    },
    'catch-up': () => null,
  };
}
