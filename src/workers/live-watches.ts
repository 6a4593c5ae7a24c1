/**
 * The readers that one worker has, at the feed of the control process: what it sends them goes over the link, each by its number.
 * Invariant: a reader is known in the turn in which it comes, so that its leaving, which may lie right behind it in the pipe, finds it.
 */
import type { LiveReader } from '../core/live-feed.ts';
import type { AskedOfControl, ViewsToWorker } from './view-messages.ts';

interface WatchedFeed {
  /** As LiveFeed's, and at once. */
  watch(
    viewer: { readonly owner: string | undefined; readonly intervalMs: number },
    reader: LiveReader,
  ): () => void;
}

export class LiveWatches {
  readonly #live: WatchedFeed;
  readonly #send: (message: ViewsToWorker) => void;
  readonly #leave = new Map<number, () => void>();

  constructor(options: {
    readonly live: WatchedFeed;
    readonly send: (message: ViewsToWorker) => void;
  }) {
    this.#live = options.live;
    this.#send = options.send;
  }

  /** Throws as LiveFeed's. */
  watch({ watch, owner, intervalMs }: AskedOfControl['watch']['details']): null {
    const send = this.#send;
    const leave = this.#live.watch(
      { owner: owner ?? undefined, intervalMs },
      {
        snapshot: (json) => send({ type: 'live-snapshot', watch, json }),
        heartbeat: () => send({ type: 'live-heartbeat', watch }),
        end: () => {
          this.unwatch(watch);
          send({ type: 'live-end', watch });
        },
      },
    );
    this.#leave.set(watch, leave);
    return null;
  }

  unwatch(watch: number): void {
    this.#leave.get(watch)?.();
    this.#leave.delete(watch);
  }

  /** The worker is gone. */
  end(): void {
    for (const watch of [...this.#leave.keys()]) this.unwatch(watch);
  }
}
