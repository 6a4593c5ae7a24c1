/**
 * What waits and what runs at all workers: each describes its own requests, and the control process, which has the queue, says which of
 * those that wait come first, where they are, and why. Keeps nothing.
 */
import { LIVE_LIMITS, type LiveRunning, type LiveWaiting } from '../core/live-snapshot.ts';
import type { LiveEnded } from '../core/live-tally.ts';
import type { EntryId } from '../scheduling/decision.ts';
import type { WaitingView } from '../scheduling/queue-view.ts';
import type { CountedRequests, ShownRequest, WaitingRequest } from '../serving/active-requests.ts';
import type { AskedWorker, AskedWorkers } from './asked-workers.ts';

interface GatheredRequestsOptions {
  readonly workers: AskedWorkers;
  readonly queue: {
    /** The first `limit` of each model. */
    views(limit: number): readonly WaitingView[];
    viewOf(id: EntryId): WaitingView | undefined;
  };
  readonly totals: () => CountedRequests['totals'];
  /** Makes the names of clients in GET /live. */
  readonly salt: string;
  readonly onEnded: (ended: LiveEnded) => void;
}

export interface GatheredRows {
  readonly queue: readonly LiveWaiting[];
  readonly running: readonly LiveRunning[];
  /** The most that they have cost a worker. */
  readonly costMs: number;
}

export class GatheredRequests {
  readonly #options: GatheredRequestsOptions;

  constructor(options: GatheredRequestsOptions) {
    this.#options = options;
  }

  /** Of everybody, or of one owner. */
  async live(owner: string | undefined): Promise<GatheredRows> {
    const { workers, queue, salt, onEnded } = this.#options;
    const views = owner === undefined ? queue.views(LIVE_LIMITS.queue) : undefined;
    const known = views && byId(views);
    const parts = await workers.askAll(
      'live-part',
      (worker) => ({ salt, owner: owner ?? null, entries: views ? entriesOf(worker, views) : null }),
      {
        onAnswer: ({ ended }) => {
          if (ended !== null) onEnded(ended);
        },
      },
    );
    const placed = parts
      .flatMap((part) => part.queue)
      .flatMap((row) => {
        if (row.reason === 'retry_pause') return row;
        const view = known === undefined ? queue.viewOf(row.id) : known.get(row.id);
        if (view === undefined) return [];
        return { ...row, position: view.position, reason: view.reason, eta_ms: view.etaMs ?? null };
      })
      .sort(byPlace);
    const running = parts.flatMap((part) => part.running);
    return {
      queue: placed.slice(0, LIVE_LIMITS.queue),
      running: running
        .sort((one, other) => one.started_at_ms - other.started_at_ms)
        .slice(0, LIVE_LIMITS.running),
      costMs: Math.max(0, ...parts.map((part) => part.costMs)),
    };
  }

  async active(limit: number): Promise<CountedRequests> {
    const { workers, queue, totals } = this.#options;
    const views = queue.views(limit);
    const known = byId(views);
    const parts = await workers.askAll('active-part', (worker) => ({
      limit,
      entries: entriesOf(worker, views),
    }));
    const placed = parts
      .flatMap((part) => part.waiting)
      .flatMap((row): WaitingRequest | WaitingRequest[] => {
        if (row.entry === undefined) return row;
        const view = known.get(row.entry);
        if (view === undefined) return [];
        return { ...row, position: view.position, reason: view.reason, etaMs: view.etaMs };
      })
      .sort(byPlace);
    return {
      waiting: placed.slice(0, limit),
      running: parts
        .flatMap((part) => part.running)
        .sort((one, other) => other.runningMs - one.runningMs)
        .slice(0, limit),
      totals: totals(),
    };
  }

  /** At whichever worker it is. */
  async cancel(id: string): Promise<ShownRequest | undefined> {
    const answers = await this.#options.workers.askAll('cancel', () => ({ id }));
    return answers.find((answer) => answer !== null) ?? undefined;
  }
}

function byId(views: readonly WaitingView[]): ReadonlyMap<EntryId, WaitingView> {
  return new Map(views.map((view) => [view.id, view]));
}

/** The name of its worker begins each id. */
function entriesOf({ name }: AskedWorker, views: readonly WaitingView[]): EntryId[] {
  const beginning = `${name}_`;
  return views.flatMap(({ id }) => (id.startsWith(beginning) ? id : []));
}

/** What pauses between two tries goes before all that wait. */
function byPlace(
  one: Pick<WaitingRequest, 'reason' | 'position'>,
  other: Pick<WaitingRequest, 'reason' | 'position'>,
): number {
  const [first, second] = [one, other].map(({ reason }) => (reason === 'retry_pause' ? 0 : 1));
  return (first ?? 0) - (second ?? 0) || one.position - other.position;
}
